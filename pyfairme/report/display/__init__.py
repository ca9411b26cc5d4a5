"""What objects show of themselves: facts gathered once, written as text and as HTML.

`facts` says what facts are; a file per kind of object gathers them; `facts_text` and `facts_html`
write them. `shown` finds the facts of an object.
"""

# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own file: from CSV to fairness card, with every common mistake met
#
# You have a CSV file, a yes-or-no outcome, and groups of rows that belong together. This notebook
# goes from the file to a fairness card. On the way it makes the usual mistakes on purpose, shows
# what pyfairme says, and mends each.
#
# The file is about 1,410 rice farmers in 44 Chinese villages who were offered crop insurance; 46 %
# bought it (Cai, de Janvry & Sadoulet 2015, from the package `causaldata`). Suppose an insurer
# wants to predict who will buy, to send its advisers there. **Villages are the clusters**:
# neighbours talk to each other. **Literacy, gender and age are protected**: advice should not go
# past farmers because they cannot read.

# %%
import tempfile
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import pyfairme as pf

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## The file, as a colleague sends it
#
# It comes from a spreadsheet with German settings: semicolons between cells, decimal commas. It
# has a number for each household, a column that is filled in after the decision (`premium_paid`),
# villages that are numbers with gaps, and ten farmers whose answer is not known yet.

# %%
raw = pd.read_csv("data/rice_farmers.csv")
yes_no = {1: "yes", 0: "no"}
sent = pd.DataFrame(
    {
        "household": np.arange(100_001, 100_001 + len(raw)),
        "village": (pd.factorize(raw["village"])[0] + 1.0),
        "gender": raw["male"].map({1: "man", 0: "woman"}),
        "literate": raw["literacy"].map(yes_no),
        "age": raw["age"],
        "family_size": raw["agpop"],
        "rice_area": raw["ricearea_2010"],
        "disaster_chance": raw["disaster_prob"],
        "risk_averse": raw["risk_averse"],
        "buying_is_default": raw["default"].map(yes_no),
        "training": raw["intensive"].map({1: "long", 0: "short"}),
        "neighbours_insured": raw["pre_takeup_rate"].round(3),
        "premium_paid": raw["takeup_survey"] * raw["ricearea_2010"].fillna(5) * 3.6,
        "insured": raw["takeup_survey"].map(yes_no),
    }
)
sent.loc[sent.index % 97 == 5, "village"] = np.nan
sent.loc[sent.index % 141 == 7, "insured"] = np.nan
path = folder / "farmers.csv"
sent.to_csv(path, sep=";", decimal=",", index=False)
print(*path.read_text().splitlines()[:3], sep="\n")

# %% [markdown]
# The next cell is only for this notebook: it runs a mistake and prints what a user would see.


# %%
def attempt(make, *arguments, **keywords):
    """Call make, and print the warnings and the error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result, error = make(*arguments, **keywords), []
        except Exception as problem:
            result, error = None, [problem]
    for message in [one.message for one in caught] + error:
        said = f"{type(message).__name__}: {message}"
        print(textwrap.fill(said, 96, subsequent_indent="    "))
    return result


# %% [markdown]
# ## Mistakes that stop at once
#
# **1. The wrong separator.** Ask first how pyfairme reads the table: `Schema.infer` gives every
# column its role. pandas made a single column of the file, so the village is not there.

# %%
table = pd.read_csv(path)
roles = {"target": "insured", "cluster": "village", "sensitive": ["gender", "literate"]}
attempt(pf.Schema.infer, table, **roles)

# %% [markdown]
# Every message ends with a code in square brackets; [Messages](../docs/faq.md) has a cause and a
# cure for each.
#
# **2. Decimal commas.** With the right separator there is no error any more, but look at the roles:
# age and the rice area are among the *categorical* columns, as text.

# %%
table = pd.read_csv(path, sep=";")
pf.Schema.infer(table, **roles)

# %%
table = pd.read_csv(path, sep=";", decimal=",")
pf.Schema.infer(table, **roles)

# %% [markdown]
# **3. Rows without an outcome.** Nothing can be learned from them: an error.

# %%
Classifier, Regressor = pf.FairMixedEffectsClassifier, pf.FairMixedEffectsRegressor
model = Classifier(cluster="village", sensitive=["literate", "gender"])
attempt(model.fit, table.drop(columns="insured"), table["insured"])

# %% [markdown]
# **4. A misspelt column, 5. years of age as groups, 6. an array instead of a table, 7. one class
# only, 8. the estimator for numbers.** All are found before training, in a moment.

# %%
known = table.dropna(subset=["insured", "village"])
X, y = known.drop(columns="insured"), known["insured"]
buyers = y == "yes"
attempt(Classifier("vilage", ["gender"]).fit, X, y)
attempt(Classifier("village", ["age"]).fit, X, y)
attempt(model.fit, X.to_numpy(), y)
attempt(model.fit, X[buyers], y[buyers])
attempt(Regressor("village", ["gender"]).fit, X, y)

# %% [markdown]
# ## Mistakes that only warn
#
# The next ones do not stop a fit, and are worse for it. A quick model, to see what it says: no
# penalty, no posterior of the network, few steps.

# %% nbmake={"mock": {"steps": 100, "quick_steps": 100, "posterior": "none", "samples": 20}}
steps = 2000  # of the two models, at least
quick_steps = 600
posterior = "auto"  # of the network
samples = 200  # of the bootstrap

# %%
quick = {"fairness": None, "network_posterior": "none", "guide": "mean_field", "hidden": (8,)}
quick |= {"cluster_weight": 0.0, "unseen": "population", "epochs": 1, "min_steps": quick_steps}
spoilt = Classifier("village", ["literate"], random_state=0, **quick)
everything = table.dropna(subset=["insured"])
attempt(spoilt.fit, everything.drop(columns="insured"), everything["insured"])
print(f"\nAUROC: {roc_auc_score(y == 'yes', spoilt.predict_proba(X)[:, 1]):.3f}")

# %% [markdown]
# - **9. `village` has gaps.** A farmer without a village may be of any, and is left out.
# - **10. `premium_paid` is known only after the decision.** A cut at 0 parts buyers from others
#   without an error. The AUROC would have told too: people are not predicted that
#   well, as the honest models below show.
# - **11. `household` is a number, but no quantity.**
#
# ## The table, mended
#
# A few farmers did not say whether they can read, or what their gender is. A group of three is
# nothing that a report could judge, so we leave them out too (`fairness_report(exclude=...)` would
# do so for the report alone). Age becomes brackets for the fairness terms, and stays a number for
# the network.

# %%
table = pd.read_csv(path, sep=";", decimal=",")
table = table.dropna(subset=["insured", "village", "literate", "gender", "age"])
y = table["insured"]
X = table.drop(columns=["insured", "household", "premium_paid"])
age = pf.Binned("age", (40, 55), name="age_group")
print(f"{len(sent)} rows in the file, {len(X)} in the table")
X.groupby(["gender", "literate"]).size().unstack()

# %% [markdown]
# There are few women, and of the women few can read. Adversaries learn nothing from a handful of
# rows: a fit with `sensitive=["gender"]` said so (`[collapsed]`). So the penalty is about literacy
# and age, and the report judges gender besides.
#
# ## Fit
#
# Four villages are kept back, to see how the model does where it has never been; of the other
# farmers a third is kept for the report. Two models get the same rows: `plain` without the
# adversaries, `fair` with them. Villages, although numbers with a decimal point in the file, are
# labels: village 3.0 is the cluster "3".

# %%
away = X["village"].isin([5, 17, 23, 41])
X_fit, X_test, y_fit, y_test = train_test_split(
    X[~away], y[~away], test_size=1 / 3, stratify=y[~away], random_state=0
)
settings = {"min_steps": steps, "network_posterior": posterior, "random_state": 0}
settings |= {"threshold": "balanced_accuracy"}
fair = attempt(Classifier("village", ["literate", age], **settings).fit, X_fit, y_fit)
plain = Classifier("village", ["literate", age], fairness_weight=0, **settings).fit(X_fit, y_fit)
print(fair.summary())

# %% [markdown]
# The fit with adversaries is warned of: on the rows held out of training it is no better than a
# constant. On a table this small the report will tell whether the penalty is worth anything.
#
# ## Mistakes when predicting
#
# **12. Villages are written in another way** than in training; **13. a column is missing**; **14. a
# level is new.** The second is an error. The others are predicted, with a warning.

# %%
new = X_test.head(40)
attempt(fair.predict, new.assign(village="village " + new["village"].astype(int).astype(str)))
attempt(fair.predict, new.drop(columns="training"))
_ = attempt(fair.predict, new.assign(training="online"))
# %% [markdown]
# ## Is it fair?
#
# First without the penalty. The report begins with a verdict for each attribute.

# %%
judged, outcomes = pd.concat([X_test, X[away]]), pd.concat([y_test, y[away]])
judge = {"attributes": ["literate", age, "gender"], "n_boot": samples}
before = plain.fairness_report(judged, outcomes, **judge)
before

# %% tags=["thumbnail"]
before.plot()

# %% [markdown]
# In seen villages no difference is larger than chance makes it. In unseen ones one is, just: women
# who buy are found less often than men. But that is about eight women, and in seen villages they
# are found *more* often. So these rows tell nothing of women.
#
# And with the penalty?

# %%
after = fair.fairness_report(judged, outcomes, **judge)
before.compare(after, names=("plain", "fair"))

# %% [markdown]
# The penalty has next to nothing to remove here, and costs accuracy on seen and on unseen villages.
# We take the model without it.
#
# ## What was learned
#
# By how much does the chance of buying change, on average, if one thing is changed?

# %%
changed = {"training": ["short", "long"], "buying_is_default": ["no", "yes"]}
changed |= {"neighbours_insured": [0.2, 0.6], "literate": ["no", "yes"]}
pf.explain.avg_comparisons(plain, X_fit, changed)

# %%
plain.icc()

# %% [markdown]
# What neighbours did decides more than anything the insurer does: where 60 % of them bought in the
# first round, the chance is some 20 points higher than where 20 % did. Whether the training was long
# or short, and whether buying was the default, changes little. Beyond these columns villages hardly
# differ (an intraclass correlation of a few per cent), as what neighbours did is among them.
#
# Those who can read are predicted to buy a little more often. In other villages, or in the same?

# %%
pf.explain.gap_decomposition(plain, X_fit, "literate", ["no", "yes"])

# %% [markdown]
# In the same: the part between villages even points the other way.
#
# ## The card
#
# One file for those who decide. It opens offline, and says what the model is, what it does to each
# group, and what to beware of; `print` shows its verdicts and cautions.

# %%
use = "Choosing whom an adviser visits. Not for prices, nor for refusing anybody insurance."
card = plain.card(judged, outcomes, intended_use=use, **judge)
card.save(folder / "card.html")
print(card)

# %% [markdown]
# **What was found.** From the file to the card it is a handful of lines; the rest of this notebook
# was mistakes. Eight of the fourteen were refused in a moment, with what to do. The others were let
# through with a warning. So look at the roles (`Schema.infer`) before the first fit, and at the
# warnings after it.
#
# The model tells buyers from others moderately well (AUROC .69). It shows no difference between those
# who can read and those who cannot, nor between ages, that chance would not show too, so the penalty
# bought nothing. That is no proof of fairness: of illiterate buyers the report has 28 in seen
# villages and 17 in unseen ones, of women 13 and 8. Before a model decides whom an adviser visits, these
# groups should be more than a handful in the rows that judge it.

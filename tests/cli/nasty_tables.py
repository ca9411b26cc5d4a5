# ruff: noqa: RUF001 (letters of other scripts are what this is about)
"""Odd tables as bytes, and for each what must come of it: the frame, or the code of the refusal.

The frames were written before the reader was. A list is one column: whole numbers are integers in
the frame, numbers with a point are floats, None is a gap (and makes numbers float), text is text.
Columns "c" (clusters) and "g" (groups) have roles; the others have none.
"""

import gzip
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["CASES", "Case"]

ROLES = ("c", "g")
Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Case:
    """One file.

    Parameters
    ----------
    name
        What is odd about it.
    content
        Its bytes, or a function that makes them.
    expected
        The columns, or the code of the error.
    file
        Its name.
    said
        Words that must be printed about it; "" for a table about which nothing is to be said.
    options
        encoding, separator, decimal, missing: as a user gives them.
    numbers
        Columns that a model takes as numbers.
    """

    name: str
    content: bytes | Callable[[], bytes]
    expected: Columns | str
    file: str = "t.csv"
    said: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    numbers: Sequence[str] = ()

    def data(self) -> bytes:
        return self.content() if callable(self.content) else self.content


def text(content: str, encoding: str = "utf-8") -> bytes:
    return content.encode(encoding)


def one(cells: Sequence[str], name: str = "x") -> bytes:
    """Return a table of a column and a full one beside it; cells are quoted where needed."""
    quoted = ['"' + c.replace('"', '""') + '"' if "," in c else c for c in cells]
    return text(f"{name},k\n" + "".join(f"{c},q\n" for c in quoted))


def beside(values: Sequence[Any], name: str = "x") -> Columns:
    return {name: values, "k": ["q"] * len(values)}


TOWNS = "c,x\nZürich,1\nMalmö,2\n"
TOWNS_READ: Columns = {"c": ["Zürich", "Malmö"], "x": [1, 2]}
EURO = "c,x\nMüller’s,5 €\nPlain,7 €\n"
SUSHI = "c,x\n東京都,1\n大阪府,2\n"
SUSHI_READ: Columns = {"c": ["東京都", "大阪府"], "x": [1, 2]}
MOSCOW = "c,x\nМосква,1\nТула,2\n"
MOSCOW_READ: Columns = {"c": ["Москва", "Тула"], "x": [1, 2]}
PLAIN = "c,g,x\nb1,f,1\nb2,m,2\n"
PLAIN_READ: Columns = {"c": ["b1", "b2"], "g": ["f", "m"], "x": [1, 2]}
WORDS = ["NA", "None", "null", "N/A", "n/a", "nan", "NaN", "NULL", "<NA>", "#N/A", "#NA", "-"]

ENCODINGS = [
    Case("UTF-8", text(TOWNS), TOWNS_READ),
    Case("UTF-8 with a byte order mark", text(TOWNS, "utf-8-sig"), TOWNS_READ),
    Case("UTF-16, little end first", b"\xff\xfe" + text(TOWNS, "utf-16-le"), TOWNS_READ,
         said="UTF-16"),
    Case("UTF-16, big end first", b"\xfe\xff" + text(TOWNS, "utf-16-be"), TOWNS_READ,
         said="UTF-16"),
    Case("UTF-16 without a mark", text(TOWNS, "utf-16-le"), TOWNS_READ, said="UTF-16"),
    Case("UTF-16 without a mark, big end first", text(TOWNS, "utf-16-be"), TOWNS_READ,
         said="UTF-16"),
    Case("UTF-16 of Excel: with tabs, as .csv", text(TOWNS.replace(",", "\t"), "utf-16"),
         TOWNS_READ, said="separated by tabs"),
    Case("UTF-32", text(TOWNS, "utf-32"), TOWNS_READ, said="UTF-32"),
    Case("Latin-1", text(TOWNS, "latin-1"), TOWNS_READ, said="'Zürich'"),
    Case("Windows-1252", text(EURO, "cp1252"), {"c": ["Müller’s", "Plain"], "x": ["5 €", "7 €"]},
         said="Windows-1252"),
    Case("Latin-1, named", text(TOWNS, "latin-1"), TOWNS_READ, options={"encoding": "latin-1"}),
    Case("Shift-JIS", text(SUSHI, "shift-jis"), "not-utf-8"),
    Case("Shift-JIS, named", text(SUSHI, "shift-jis"), SUSHI_READ,
         options={"encoding": "shift_jis"}),
    Case("Windows-1251", text(MOSCOW, "cp1251"), "not-utf-8"),
    Case("Windows-1251, named", text(MOSCOW, "cp1251"), MOSCOW_READ,
         options={"encoding": "cp1251"}),
    Case("UTF-8 with a line in Latin-1", text(TOWNS) + text("Köln,3\n", "latin-1"), "not-utf-8"),
    Case("UTF-8 cut within a character", text(TOWNS + "Kö")[:-1], "truncated-table"),
    Case("UTF-16 cut within a character", text(TOWNS, "utf-16")[:-1], "truncated-table"),
    Case("an encoding that it has not", text(TOWNS), "encoding", options={"encoding": "ascii"}),
    Case("an encoding that is none", text(TOWNS), "encoding", options={"encoding": "utf-9"}),
    Case("a codec that is no encoding", text(TOWNS), "encoding", options={"encoding": "rot13"}),
]  # fmt: skip

NO_TABLES = [
    Case("empty", b"", "no-rows"),
    Case("a byte order mark only", b"\xef\xbb\xbf", "no-rows"),
    Case("an end of line only", b"\n", "no-rows"),
    Case("a header only", b"c,g,x\n", "no-rows"),
    Case("blank rows only", b"c,g,x\n,,\n,,\n", "no-rows"),
    Case("NUL only", b"\0" * 100, "not-text"),
    Case("a picture", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not-text"),
    Case("bytes at random", bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8)),
         "not-text"),
    Case("gzip, named .csv", gzip.compress(text(PLAIN)), "not-text"),
    Case("Excel, named .csv", b"PK\x03\x04" + bytes(200), "not-text"),
    Case("Parquet, named .csv", lambda: parquet({"x": [1]}), "not-text"),
    Case("an unknown ending", text(PLAIN), "file-suffix", file="t.dat"),
]  # fmt: skip

SEPARATORS = [
    Case("plain", text(PLAIN), PLAIN_READ),
    Case("semicolons", text(PLAIN.replace(",", ";")), PLAIN_READ, said="separated by ';'"),
    Case("tabs, named .csv", text(PLAIN.replace(",", "\t")), PLAIN_READ, said="by tabs"),
    Case("bars", text(PLAIN.replace(",", "|")), PLAIN_READ, said="separated by '|'"),
    Case("commas, named .tsv", text(PLAIN), PLAIN_READ, file="t.tsv", said="separated by ','"),
    Case("tabs", text(PLAIN.replace(",", "\t")), PLAIN_READ, file="t.tsv"),
    Case("Excel's first line sep=", b"sep=;\r\nc;g;x\r\nb1;f;1\r\nb2;m;2\r\n", PLAIN_READ,
         said="separated by ';'"),
    Case("a comma in a name of the header", b"c;x;pay, monthly\nb1;1;2,5\nb2;2;3\n",
         {"c": ["b1", "b2"], "x": [1, 2], "pay, monthly": [2.5, 3.0]}, said="separated by ';'"),
    Case("semicolons within cells", b"c,x\na;b,1\nc;d;e,2\n", {"c": ["a;b", "c;d;e"], "x": [1, 2]}),
    Case("bars within cells", b"c,x\na|b,1\nc|d,2\n", {"c": ["a|b", "c|d"], "x": [1, 2]}),
    Case("two separators fit", b"c,x;y\na,1;2\nb,3;4\n", "separator"),
    Case("two separators fit, one is named", b"c,x;y\na,1;2\nb,3;4\n",
         {"c": ["a", "b"], "x;y": ["1;2", "3;4"]}, options={"separator": ","}),
    Case("a separator of its own", text(PLAIN.replace(",", ":")), PLAIN_READ,
         options={"separator": ":"}),
    Case("the word tab", text(PLAIN.replace(",", "\t")), PLAIN_READ, options={"separator": "tab"}),
    Case("two letters as separator", text(PLAIN), "separator", options={"separator": "::"}),
    Case("one column", b"x\n1\n2\n", {"x": [1, 2]}),
    Case("one column of text with commas", b'x\n"a,b"\nc\n', {"x": ["a,b", "c"]}),
]  # fmt: skip

DECIMALS = [
    Case("decimal commas", b"c;x;k\nb1;1,5;7\nb2;-0,25;8\n",
         {"c": ["b1", "b2"], "x": [1.5, -0.25], "k": [7, 8]}, said="decimal commas"),
    Case("decimal commas and thousands", b"c;x;k\nb1;1.234,5;2.000\nb2;2,25;3.500\n",
         {"c": ["b1", "b2"], "x": [1234.5, 2.25], "k": [2000, 3500]}, said="decimal commas"),
    Case("decimal commas in quotes", one(["1,5", "2,25", "3"]), beside([1.5, 2.25, 3.0]),
         said="decimal commas"),
    Case("thousands with commas", one(["1,234.5", "999.5", "1,000,000.25"]),
         beside([1234.5, 999.5, 1000000.25]), said="thousands"),
    Case("millions with commas", one(["1,234,567", "12"]), beside([1234567, 12]),
         said="thousands"),
    Case("a comma of either kind", one(["1,234", "5,678"]), "decimal-mark"),
    Case("a comma of either kind, a point named", one(["1,234", "5,678"]), beside([1234, 5678]),
         said="thousands", options={"decimal": "."}),
    Case("a comma of either kind, a comma named", one(["1,234", "5,678"]), beside([1.234, 5.678]),
         options={"decimal": ","}),
    Case("a comma of either kind beside decimal points", b'x,k\n"1,234",0.5\n"5,678",0.25\n',
         {"x": [1234, 5678], "k": [0.5, 0.25]}, said="thousands"),
    Case("a comma of either kind beside decimal commas", b"x;k\n1,234;0,5\n5,678;0,25\n",
         {"x": [1.234, 5.678], "k": [0.5, 0.25]}, said="decimal commas"),
    Case("points of three digits", b"x,k\n1.234,q\n5.678,q\n", beside([1.234, 5.678])),
    Case("several answers beside decimal points", b'x,k\n"1,2",0.5\n"3,4",0.25\n',
         {"x": ["1,2", "3,4"], "k": [0.5, 0.25]}, said="--decimal"),
    Case("several answers of a role", b'c,k\n"1,2",5\n"3,4",6\n',
         {"c": ["1,2", "3,4"], "k": [5, 6]}),
    Case("lists", one(["1,2,3", "4,5"]), beside(["1,2,3", "4,5"])),
    Case("versions", one(["1.2.3", "1.10"]), beside(["1.2.3", "1.10"])),
    Case("thousands with spaces", text("x;k\n1 234,5;q\n12 000;q\n3\u00a0400,25;q\n"),
         beside([1234.5, 12000.0, 3400.25]), said="thousands"),
    Case("thousands with apostrophes", text("x,k\n1'234.50,q\n12’000.00,q\n"),
         beside([1234.5, 12000.0]), said="thousands"),
    Case("groups that are no thousands", one(["110 00", "12 34"]), beside(["110 00", "12 34"])),
    Case("a mark that is none", text(PLAIN), "decimal-mark", options={"decimal": ";"}),
    Case("the mark is the separator", text(PLAIN), "decimal-mark",
         options={"decimal": ",", "separator": ","}),
    Case("amounts with a unit", one(["5 EUR", "7 EUR"]), beside(["5 EUR", "7 EUR"])),
    Case("per cent", one(["5%", "7%"]), beside(["5%", "7%"])),
]  # fmt: skip

GAPS = [
    Case("words for gaps as groups", one([*WORDS, ""], "g"), beside([*WORDS, None], "g"),
         said="'NA'"),
    Case("words for gaps as clusters", one(["NA", "", "b"], "c"), beside(["NA", None, "b"], "c"),
         said="'NA'"),
    Case("None as a level of a covariate", one(["None", "", "yes"]), beside(["None", None, "yes"]),
         said="'None'"),
    Case("Namibia", one(["NA", "DE", "ZA"]), beside(["NA", "DE", "ZA"]), said="'NA'"),
    Case("NA among numbers", one(["1", "NA", "3"]), beside([1.0, None, 3.0]), said="'NA'"),
    Case("#N/A and nan among numbers", one(["1.5", "#N/A", "nan"]), beside([1.5, None, None]),
         said="'#N/A'"),
    Case("words for gaps and nothing else", one(["NA", "NA"]), beside(["NA", "NA"]),
         said="'NA'"),
    Case("another word among numbers", one(["1", "unknown", "3"]), beside(["1", "unknown", "3"])),
    Case("NA named as a gap", b"g,x\nNA,NA\nNB,1\nnone,2\n",
         {"g": [None, "NB", "none"], "x": [None, 1.0, 2.0]}, options={"missing": ["NA"]}),
    Case("two words named as gaps", b"g,x\n?,-9\nf,4\nm,-9\n",
         {"g": [None, "f", "m"], "x": [None, 4.0, None]}, options={"missing": ["?", "-9"]}),
    Case("blanks within", b"g,x,y\n  ,1,\t\nf,,a\n", {"g": [None, "f"], "x": [1.0, None],
                                                     "y": [None, "a"]}),
    Case("blanks in quotes", b'g,x\n"",1\n"f",""\n', {"g": [None, "f"], "x": [1.0, None]}),
    Case("a column without any value", b"c,x\nb1,\nb2,\n", {"c": ["b1", "b2"], "x": [None, None]}),
    Case("a role without any value", b"c,x\n,1\n,2\n", {"c": [None, None], "x": [1, 2]}),
]  # fmt: skip

IDS = [
    Case("01 and 1 as clusters", one(["01", "1", "001"], "c"), beside(["01", "1", "001"], "c")),
    Case("01 without a role", one(["01", "1", "2"]), beside(["01", "1", "2"])),
    Case("zero and a decimal that starts with it", one(["0", "0.5", "-0.5"]),
         beside([0.0, 0.5, -0.5])),
    Case("whole numbers as clusters", one(["7", "12", "7"], "c"), beside(["7", "12", "7"], "c")),
    Case("whole numbers with a gap as clusters", one(["7", "", "12"], "c"),
         beside(["7", None, "12"], "c")),
    Case("1 and 1.0 as clusters", one(["1", "1.0"], "c"), beside(["1", "1.0"], "c")),
    Case("1e5 as a cluster", one(["1e5", "100000"], "c"), beside(["1e5", "100000"], "c")),
    Case("ids of 16 digits with a gap", one(["9007199254740993", "", "9007199254740992"], "c"),
         beside(["9007199254740993", None, "9007199254740992"], "c")),
    Case("ids of 20 digits", one(["18446744073709551617", "18446744073709551616"], "c"),
         beside(["18446744073709551617", "18446744073709551616"], "c")),
    Case("16 digits without a role", one(["9007199254740993", "5"]),
         beside(["9007199254740993", "5"])),
    Case("16 digits with a gap without a role", one(["9007199254740993", "", "5"]),
         beside(["9007199254740993", None, "5"])),
    Case("15 digits without a role", one(["123456789012345", "5"]),
         beside([123456789012345, 5])),
    Case("15 digits with a gap without a role", one(["123456789012345", ""]),
         beside([123456789012345.0, None])),
    Case("many decimals", one(["0.30000000000000004", "3.141592653589793238"]),
         beside([0.30000000000000004, 3.141592653589793])),
    Case("exponents", one(["1e5", "-2.5E-3", "+4"]), beside([1e5, -0.0025, 4.0])),
    Case("leading zeros where a model takes numbers", one(["007", "12"]), beside([7, 12]),
         numbers=("x",)),
    Case("long numbers where a model takes numbers", one(["12345678901234567", ""]),
         beside([12345678901234567.0, None]), numbers=("x",)),
    Case("text where a model takes numbers", one(["7", "old"]), beside(["7", "old"]),
         numbers=("x",)),
    Case("underscores", one(["1_000", "2_000"]), beside(["1_000", "2_000"])),
    Case("digits of other scripts", one(["١٢", "٣"]), beside(["١٢", "٣"])),
    Case("infinite numbers", one(["inf", "1", "-Infinity"]),
         beside([float("inf"), 1.0, float("-inf")])),
    Case("hexadecimal", one(["0x1F", "0x20"]), beside(["0x1F", "0x20"])),
]  # fmt: skip

KINDS = [
    Case("booleans", one(["True", "False", "True"]), beside([True, False, True])),
    Case("booleans in capitals, with a gap", one(["TRUE", "", "FALSE"]),
         beside([True, None, False])),
    Case("booleans as groups", one(["TRUE", "False", ""], "g"),
         beside(["TRUE", "False", None], "g")),
    Case("yes and no", one(["yes", "no"]), beside(["yes", "no"])),
    Case("booleans and numbers", one(["True", "1"]), beside(["True", "1"])),
    Case("dates", one(["2024-05-01", "2024-05-02"]), beside(["2024-05-01", "2024-05-02"])),
    Case("numbers and text", one(["1", "two", "3.5"]), beside(["1", "two", "3.5"])),
    Case("text after many numbers", one([*["1"] * 3000, "x"]), beside([*["1"] * 3000, "x"])),
    Case("spaces around numbers", one([" 1", "2 ", " 3 "]), beside([1, 2, 3])),
    Case("spaces after text", one(["Oslo", "Oslo "], "c"), beside(["Oslo", "Oslo "], "c")),
    Case("spaces after commas", b"c, g, x\nb1, f, 1\nb2, m, 2\n", PLAIN_READ),
    Case("a cell of a megabyte", one(["a" * 10**6, "b"]), beside(["a" * 10**6, "b"])),
    Case("NUL within a cell", one(["a\0b", "c"]), "not-text"),
    Case("emoji and right to left", text("c,x\n🎓,1\nمدينة,2\n"),
         {"c": ["🎓", "مدينة"], "x": [1, 2]}),
]  # fmt: skip

QUOTES = [
    Case("commas in quotes", b'c,x\n"a,b",1\n"c",2\n', {"c": ["a,b", "c"], "x": [1, 2]}),
    Case("quotes in quotes", b'c,x\n"say ""hi""",1\nb,2\n', {"c": ['say "hi"', "b"], "x": [1, 2]}),
    Case("an end of line in quotes", b'c,x\n"a\nb",1\nc,2\n', {"c": ["a\nb", "c"], "x": [1, 2]}),
    Case("ends of line of Windows in quotes", b'c,x\r\n"a\r\nb",1\r\nc,2\r\n',
         {"c": ["a\r\nb", "c"], "x": [1, 2]}),
    Case("all in quotes", b'"c","x"\n"b1","1"\n"b2","2"\n', {"c": ["b1", "b2"], "x": [1, 2]}),
    Case("numbers in quotes", b'c,x\n"01","1"\n"1","2"\n', {"c": ["01", "1"], "x": [1, 2]}),
    Case("a quote that stays open", b'c,x\n"a,1\nb,2\n', "ragged-table"),
    Case("an apostrophe", b"c,x\n'a,1\nb',2\n", {"c": ["'a", "b'"], "x": [1, 2]}),
]  # fmt: skip

HEADERS = [
    Case("a name twice", b"c,x,x\nb,1,2\n", "column-twice"),
    Case("a name twice but for a space", b"c,x,x \nb,1,2\n", "column-twice"),
    Case("row numbers without a name", b",c,x\n0,b1,1\n1,b2,2\n",
         {"c": ["b1", "b2"], "x": [1, 2]}, said="without a name"),
    Case("a column in the middle without a name", b"c,,x\nb1,u,1\nb2,v,2\n",
         {"c": ["b1", "b2"], "x": [1, 2]}, said="without a name"),
    Case("separators at the end of all lines", b"c,x,\nb1,1,\nb2,2,\n",
         {"c": ["b1", "b2"], "x": [1, 2]}),
    Case("separators at the end of rows only", b"c,x\nb1,1,\nb2,2,\n", "ragged-table"),
    Case("spaces around names", b" c , x \nb1,1\nb2,2\n", {"c": ["b1", "b2"], "x": [1, 2]}),
    Case("an end of line in a name", b'c,"pay\n(monthly)"\nb1,1\nb2,2\n',
         {"c": ["b1", "b2"], "pay\n(monthly)": [1, 2]}),
    Case("names that are numbers", b"c,2020,2021\nb1,1,2\n",
         {"c": ["b1"], "2020": [1], "2021": [2]}),
    Case("names of gaps", b"c,NA,None\nb1,1,2\n", {"c": ["b1"], "NA": [1], "None": [2]}),
]  # fmt: skip

ROWS = [
    Case("blank lines", b"\n\nc,x\n\nb1,1\n\nb2,2\n\n", {"c": ["b1", "b2"], "x": [1, 2]}),
    Case("blank rows at the end", b"c,x\nb1,1\nb2,2\n,\n,\n", {"c": ["b1", "b2"], "x": [1, 2]},
         said="2 blank rows"),
    Case("a blank row in the middle", b"c,x\nb1,1\n,\nb2,2\n",
         {"c": ["b1", None, "b2"], "x": [1.0, None, 2.0]}),
    Case("a short row", b"c,x,y\nb1,1,a\nb2,2\nb3,3,b\n",
         {"c": ["b1", "b2", "b3"], "x": [1, 2, 3], "y": ["a", None, "b"]}, said="1 row is shorter"),
    Case("a long row", b"c,x\nb1,1\nb2,2,3\n", "ragged-table"),
    Case("long rows throughout", b"c,x\nb1,1,2\nb2,2,3\n", "ragged-table"),
    Case("cut within the last row", b"c,x,y\nb1,1,a\nb2,2,b\nb3,3", "truncated-table"),
    Case("cut within the last row, which is quoted", b'c,x,y\nb1,1,a\nb2,2,"be', "ragged-table"),
    Case("no end of line at the end", b"c,x\nb1,1\nb2,2", {"c": ["b1", "b2"], "x": [1, 2]}),
    Case("ends of line of Windows", b"c,x\r\nb1,1\r\nb2,2\r\n", {"c": ["b1", "b2"], "x": [1, 2]}),
    Case("ends of line of old Macs", b"c,x\rb1,1\rb2,2\r", {"c": ["b1", "b2"], "x": [1, 2]}),
]  # fmt: skip


def zipped(content: str, encoding: str = "utf-8") -> bytes:
    return gzip.compress(text(content, encoding), mtime=0)


def flipped() -> bytes:
    found = bytearray(zipped(PLAIN * 100))
    found[len(found) // 2] ^= 64
    return bytes(found)


ZIPPED = [
    Case("gzip", zipped(PLAIN), PLAIN_READ, file="t.csv.gz"),
    Case("gzip with tabs", zipped(PLAIN.replace(",", "\t")), PLAIN_READ, file="t.tsv.gz"),
    Case("gzip of UTF-16 with semicolons", zipped(PLAIN.replace(",", ";"), "utf-16"), PLAIN_READ,
         file="t.csv.gz", said="UTF-16"),
    Case("gzip, cut", zipped(PLAIN * 100)[:-20], "damaged-file", file="t.csv.gz"),
    Case("gzip, a bit flipped", flipped, "damaged-file", file="t.csv.gz"),
    Case("no gzip, named .gz", text(PLAIN), "damaged-file", file="t.csv.gz"),
    Case("gzip of nothing", zipped(""), "no-rows", file="t.csv.gz"),
    Case("gzip of gzip", gzip.compress(zipped(PLAIN)), "not-text", file="t.csv.gz"),
]  # fmt: skip


def parquet(columns: Mapping[str, Any] | pa.Table) -> bytes:
    found = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
    buffer = io.BytesIO()
    pq.write_table(found, buffer)
    return buffer.getvalue()


def twice() -> bytes:
    return parquet(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]))


def indexed() -> bytes:
    import pandas as pd

    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["b1", "b2"], name="c"))
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def numbered() -> bytes:
    import pandas as pd

    buffer = io.BytesIO()
    pd.DataFrame({"x": [1, 2]}, index=[5, 3]).to_parquet(buffer)
    return buffer.getvalue()


LONG = 9007199254740993  # 2^53 + 1: no float is that number
P = "t.parquet"
PARQUET = [
    Case("Parquet", lambda: parquet({"c": ["b1", None], "x": [1, 2]}),
         {"c": ["b1", None], "x": [1, 2]}, file=P),
    Case("Parquet, long ids with a gap", lambda: parquet({"c": [LONG, None, LONG - 1]}),
         {"c": [LONG, None, LONG - 1]}, file=P),
    Case("Parquet, ids beyond 2^63 with a gap",
         lambda: parquet({"c": pa.array([2**63 + 1, None], pa.uint64())}),
         {"c": [2**63 + 1, None]}, file=P),
    Case("Parquet, whole numbers with a gap", lambda: parquet({"x": [1, None, 3]}),
         {"x": [1.0, None, 3.0]}, file=P),
    Case("Parquet, text 01", lambda: parquet({"c": ["01", "1"], "x": ["01", "1"]}),
         {"c": ["01", "1"], "x": ["01", "1"]}, file=P),
    Case("Parquet, words for gaps", lambda: parquet({"g": ["NA", None, "None"]}),
         {"g": ["NA", None, "None"]}, file=P),
    Case("Parquet, blank text", lambda: parquet({"g": ["", "  ", "f"]}),
         {"g": [None, None, "f"]}, file=P),
    Case("Parquet, named gaps", lambda: parquet({"g": ["?", "f"], "x": [-9, 4]}),
         {"g": [None, "f"], "x": [None, 4.0]}, file=P, options={"missing": ["?", "-9"]}),
    Case("Parquet, decimals", lambda: parquet({"x": [Decimal("1.50"), Decimal("2.25")]}),
         {"x": [Decimal("1.50"), Decimal("2.25")]}, file=P),
    Case("Parquet, categories",
         lambda: parquet({"g": pa.array(["f", "m", None]).dictionary_encode()}),
         {"g": ["f", "m", None]}, file=P),
    Case("Parquet, booleans with a gap", lambda: parquet({"x": [True, None, False]}),
         {"x": [True, None, False]}, file=P),
    Case("Parquet, half floats",
         lambda: parquet({"x": pa.array(np.array([0.5, 2], np.float16))}), {"x": [0.5, 2.0]},
         file=P),
    Case("Parquet, an index with a name", indexed, {"x": [1, 2], "c": ["b1", "b2"]}, file=P),
    Case("Parquet, an index without a name", numbered, {"x": [1, 2]}, file=P),
    Case("Parquet, a name twice", twice, "column-twice", file=P),
    Case("Parquet, no rows", lambda: parquet({"x": pa.array([], pa.int64())}), "no-rows", file=P),
    Case("Parquet, cut", lambda: parquet({"x": [1, 2]})[:-20], "damaged-file", file=P),
    Case("Parquet, its first letters only", b"PAR1", "damaged-file", file=P),
    Case("text, named .parquet", text(PLAIN), "damaged-file", file=P),
]  # fmt: skip

CASES = [
    *ENCODINGS, *NO_TABLES, *SEPARATORS, *DECIMALS, *GAPS, *IDS, *KINDS, *QUOTES, *HEADERS, *ROWS,
    *ZIPPED, *PARQUET,
]  # fmt: skip

"""Tables: what can be read, and what is refused."""

import gzip

import pandas as pd
import pytest
from pyarrow import ArrowException

from pyfairme.cli.table_files import read_table, write_table

FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "ä"]})


@pytest.mark.parametrize(
    "name", ["t.csv", "t.csv.gz", "t.tsv", "t.TSV.gz", "t.parquet", "t.v2.csv"]
)
def test_what_is_written_is_read(tmp_path, name):
    write_table(FRAME, tmp_path / name)
    pd.testing.assert_frame_equal(read_table(tmp_path / name), FRAME)


@pytest.mark.parametrize("name", ["t.xlsx", "t", "t.gz", "t.txt"])
def test_unknown_suffixes(tmp_path, name):
    (tmp_path / name).write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"tables are \.csv, \.csv\.gz, \.tsv"):
        read_table(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "t.csv is empty"),
        (b"a,b\n", "has a header and no rows"),
        (b"a,b,a\n1,2,3\n", "several columns called 'a': rename them"),
        (b"a,b\n1,2,3\n", "is not a regular table"),
        (b"a,b\n1,2\n1,2,3\n", "is not a regular table"),
    ],
)
def test_files_that_are_no_table(tmp_path, content, text):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=text):
        read_table(tmp_path / "t.csv")


def test_damaged_files(tmp_path):
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    (tmp_path / "t.csv.gz").write_bytes(whole[:-20])
    with pytest.raises(ValueError, match="is a damaged gzip file"):
        read_table(tmp_path / "t.csv.gz")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(ValueError, match=r"t\.parquet is not a readable Parquet file"):
        read_table(tmp_path / "t.parquet")


def test_row_numbers_without_a_name_are_left_out(tmp_path, capsys):
    FRAME.to_csv(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), FRAME)
    assert "left out 1 column without a name (row numbers?): column 1." in " ".join(
        capsys.readouterr().out.split()
    )


def test_spaces_and_byte_order_marks_of_spreadsheets(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfa, b\n1, x\n")
    frame = read_table(tmp_path / "t.csv")
    assert list(frame.columns) == ["a", "b"]
    assert frame["b"].tolist() == ["x"]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.parquet"])
def test_a_table_that_fails_half_way_leaves_the_older_one(tmp_path, name):
    class Unprintable:
        def __str__(self):
            raise OSError("the disk is gone")

    old, path = pd.DataFrame({"a": [1.5, 2.0], "b": ["x", "y"]}), tmp_path / name
    write_table(old, path)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    broken = pd.DataFrame({"a": [1.0] * 5000, "b": ["x"] * 4999 + [Unprintable()]})
    with pytest.raises((OSError, TypeError, ArrowException)):
        write_table(broken, path)
    pd.testing.assert_frame_equal(read_table(path), old)
    assert [file.name for file in tmp_path.iterdir()] == [name]

"""A query of a database file can read that file and nothing else."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from drf.data.files import column_names, read_file
from drf.errors import InputError

TABLE = pd.DataFrame({"asset": ["A", "B"], "x": [1.0, 2.0]})


@pytest.fixture(params=["market.db", "market.duckdb"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    file = tmp_path / "data" / str(request.param)
    file.parent.mkdir()
    if file.suffix == ".db":
        with sqlite3.connect(file) as made:
            TABLE.to_sql("prices", made, index=False)
            TABLE.to_sql('odd"name', made, index=False)
        made.close()
    else:
        with duckdb.connect(str(file)) as held:
            held.execute(
                "CREATE TABLE prices AS SELECT * FROM TABLE_".replace(
                    "TABLE_", "(VALUES ('A',1.0),('B',2.0)) t(asset,x)"
                )
            )
            held.execute('CREATE TABLE "odd""name" AS SELECT * FROM prices')
    return file


@pytest.mark.parametrize(
    "query",
    [
        "prices",
        'odd"name',
        "SELECT * FROM prices",
        "SELECT * FROM prices;",
        "SELECT * FROM prices -- all of them",
        "WITH p AS (SELECT * FROM prices) SELECT asset, max(x) AS x FROM p GROUP BY asset",
        "SELECT asset, x FROM prices WHERE asset LIKE '%' ORDER BY x",
    ],
)
def test_a_table_or_a_select_is_read(database: Path, query: str) -> None:
    read = read_file("data.path", f"{database}#{query}").sort_values("x", ignore_index=True)
    assert read["asset"].tolist() == ["A", "B"] and read["x"].astype(float).tolist() == [1.0, 2.0]
    assert column_names("data.path", f"{database}#{query}") == ["asset", "x"]


def hostile(folder: Path) -> list[str]:
    out, secret = folder / "out.csv", folder / "secret.csv"
    return [
        f"SELECT 1) t; COPY (SELECT 1) TO '{out}'; SELECT * FROM (SELECT 1",
        f"COPY prices TO '{out}'",
        f"SELECT 1; COPY prices TO '{out}'",
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM '{secret}'",
        f"SELECT content FROM read_text('{secret}')",
        f"SELECT * FROM glob('{folder}/*')",
        f"ATTACH '{out}' AS other",
        f"SELECT 1) t; ATTACH '{out}' AS other; CREATE TABLE other.t AS SELECT 1; SELECT * FROM (SELECT 1",
        "CREATE TABLE more AS SELECT * FROM prices",
        "INSERT INTO prices VALUES ('C', 3.0)",
        "DROP TABLE prices",
        "SELECT 1) t; DROP TABLE prices; SELECT * FROM (SELECT 1",
        "UPDATE prices SET x = 0 ",
        "PRAGMA writable_schema = 1",
        "SELECT * FROM pragma_database_list ",
        "SELECT load_extension('/tmp/x.so')",
        "INSTALL httpfs; LOAD httpfs",
        "SET enable_external_access = true",
        "SET GLOBAL lock_configuration = false; SELECT 1",
        "EXPORT DATABASE 'everything'",
        f"SELECT writefile('{out}', 'x')",
        f"VACUUM INTO '{out}'",
        "SELECT * FROM prices; SELECT 2",
        "EXPLAIN SELECT 1",
        "CALL pragma_version()",
    ]


@pytest.mark.parametrize("position", range(len(hostile(Path()))))
def test_anything_else_is_refused_and_does_nothing(database: Path, tmp_path: Path, position: int) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    query = hostile(tmp_path)[position]
    if database.suffix == ".duckdb" and "pragma_database_list" in query:
        return  # a view of the database's own name, which changes and shows nothing else
    for ask in (read_file, column_names):
        with pytest.raises(InputError, match=r"data\.path="):
            ask("data.path", f"{database}#{query}")
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    "address",
    [
        "market.duckdb#SELECT * FROM postgres_scan('host=db user=me password=battery', 'public', 'prices')",
        "postgresql://me:battery@db/market",
        "s3://key:battery@bucket/panel.parquet",
        "panel.db#SELECT * FROM t WHERE Token = 'battery'",
    ],
)
def test_a_login_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(InputError, match="holds a login") as refused:
        read_file("data.path", address)
    assert "battery" not in str(refused.value)

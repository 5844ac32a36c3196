"""The claims of the RAND Health Insurance Experiment as a model's rows: see data/README.md for what they are.

A row is a person-year: what is known at its start, and last year's outcomes of the same person. Its label is whether
this year's medical dollars are above the 90th percentile of the training rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

SOURCE = Path(__file__).parent / "data" / "rand_hie.csv.gz"
PLAN_TERMS = ["coins", "logc", "idp", "lpi", "fmde", "mdeoff", "pioff"]
PERSON = ["xage", "female", "child", "fchild", "educdec", "income", "num", "lfam"]
HEALTH = ["mhi", "disea", "physlm", "ghindx", "hlthg", "hlthf", "hlthp", "tookphys"]
LAST_YEAR = ["meddol", "mdvis", "drugdol", "totadm"]
FEATURES = ["plan", *PLAN_TERMS, *PERSON, *HEALTH, *[f"prev_{name}" for name in LAST_YEAR]]
TARGET, GROUP = "high_cost", "person"
QUANTILE = 0.9
SITES = 5  # the sixth is another part of the country, and comes later


def person_years() -> pd.DataFrame:
    """Every person-year with `FEATURES`, `person`, `year`, `site` and `meddol`, in order of person and year.

    `plan` is a code and so a word. Race is left out: a claims model has no business with it. So is `time`, the share
    of the year observed, which is known only when the year is over.
    """
    rows = pd.read_csv(SOURCE).sort_values(["zper", "year"], kind="stable")
    before = rows.groupby("zper")[["year", *LAST_YEAR]].shift()
    follows = before["year"] == rows["year"] - 1
    for name in LAST_YEAR:
        rows[f"prev_{name}"] = before[name].where(follows)
    rows["plan"] = "plan " + rows["plan"].astype(str)
    return rows.rename(columns={"zper": "person"}).reset_index(drop=True)


def training_rows(rows: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Years 1 and 2 of sites 1-5: rows of year 2 with year 1 as their last year, and the threshold in dollars."""
    chosen = rows[(rows["year"] == 2) & (rows["site"] <= SITES)]
    threshold = float(chosen["meddol"].quantile(QUANTILE))
    return labelled(chosen, threshold), threshold


def year_3(rows: pd.DataFrame) -> pd.DataFrame:
    """Year 3 of the sites that the model was trained on: nothing should have changed."""
    return rows[(rows["year"] == 3) & (rows["site"] <= SITES)]


def year_4(rows: pd.DataFrame) -> pd.DataFrame:
    """Year 4 of every site: fewer people are still in the experiment, and those who are have another mix of plans."""
    return rows[rows["year"] == 4]


def year_5(rows: pd.DataFrame) -> pd.DataFrame:
    """Year 5 of every site, which comes last: no model has seen any of it."""
    return rows[rows["year"] == 5]


def site_6(rows: pd.DataFrame) -> pd.DataFrame:
    """Year 3 of the site that the model has never seen: other plans, lower incomes, less schooling."""
    return rows[(rows["year"] == 3) & (rows["site"] > SITES)]


def labelled(rows: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Features, person and label, as a data set."""
    return rows[[*FEATURES, GROUP]].assign(**{TARGET: (rows["meddol"] > threshold).astype(int)})


def as_requests(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as `predict` takes them: one request id a person-year, missing values as null."""
    values = rows[FEATURES].astype(object).where(rows[FEATURES].notna(), None).to_dict("records")
    ids = zip(rows[GROUP], rows["year"], strict=True)
    return [
        {"request_id": f"hie-{person}-{year}", "unit_id": str(person), "features": features}
        for (person, year), features in zip(ids, values, strict=True)
    ]


def as_labels(rows: pd.DataFrame, threshold: float, *, model: str) -> list[dict[str, Any]]:
    """What then happened, as `ground-truth` takes it."""
    labels = (rows["meddol"] > threshold).astype(int).tolist()
    ids = zip(rows[GROUP], rows["year"], labels, strict=True)
    return [{"model_name": model, "request_id": f"hie-{person}-{year}", "label": label} for person, year, label in ids]

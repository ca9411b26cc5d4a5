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
# # How sure is a prediction, and for whom? Intervals that hold in every group
#
# An interval promises to hold the outcome in 90 of 100 cases. On average over all people that may
# be true while it holds for some groups too rarely and for others too often. We check, and mend it.
#
# The data are the Adult census data of 1994: hours of work per week, with occupations as clusters,
# and sex and age as protected attributes.

# %%
import pandas as pd
from sklearn.model_selection import train_test_split

import pyfairme as pf
from pyfairme.plots import plot_group_coverage

# %% nbmake={"mock": {"rows": 600, "judged_rows": 1500, "settings": {"hidden": [], "min_steps": 60, "guide": "mean_field"}}}
rows = 8_000  # to train on
judged_rows = 20_000  # half of them calibrate, half of them judge
settings = {}  # the defaults

# %%
adult = pf.datasets.load_adult()
covariates = ["age", "education_num", "workclass", "marital_status", "race", "sex"]
people = adult.frame[[*covariates, "occupation"]]
people = people[people["occupation"] != "Armed-Forces"]  # nine: too few to judge or to calibrate
hours = adult.frame["hours_per_week"].astype(float)
later = people["occupation"].isin(["Farming-fishing", "Tech-support"])  # not seen in training
X, others = train_test_split(people[~later], train_size=rows, random_state=0)
judged = others.sample(judged_rows, random_state=0)
calibrate, test = train_test_split(judged, test_size=0.5, random_state=0)

age = pf.Binned("age", (30, 45), name="age_bracket")
model = pf.FairMixedEffectsRegressor(
    "occupation", ["sex", age], fairness=None, unseen="sample", random_state=0, **settings
)
model.fit(X, hours[X.index])

# %% [markdown]
# ## Two questions, two intervals
#
# Where is the *mean* of people like this one, and what will *this one* do? `predict_interval`
# answers the first by default: how far the uncertainty of network and occupation moves the
# prediction. `kind="observation"` answers the second.

# %%
three = test.head(3)
kinds = {kind: model.predict_interval(three, kind=kind) for kind in ("auto", "observation")}
pd.concat(kinds, axis=1).round(1).join(
    pd.concat({"worked": hours[three.index].to_frame("")}, axis=1)
)

# %% [markdown]
# The mean is known to within some 2 to 4 hours, what a person works to within about 19.
#
# ## Does it hold what it says?
#
# The report of intervals counts, group by group, how often the outcome lies inside.

# %%
own = model.predict_interval(test, kind="observation", level=0.9)
attributes = ["sex", age, "occupation"]
report = model.fairness_report(
    test, hours[test.index], attributes=attributes, intervals=own, n_boot=200
)
coverage = report.query("metric == 'coverage' and effects == 'mixed' and attribute == 'occupation'")
coverage[["group", "value", "low", "high", "n"]].round(3)

# %% [markdown]
# Between .73 (private households) and .97 (machine operators). The model has one spread of hours for
# everybody, while hours vary little among machine operators and much in private households.
#
# ## Calibrated by rows that the model has not seen
#
# `ConformalIntervals` asks held-out rows how large intervals have to be: on all of them together,
# or in every group that `by` names. The groups may overlap.

# %%
y_calibrate = hours[calibrate.index]
marginal = pf.ConformalIntervals(model).fit(calibrate, y_calibrate)
by_group = pf.ConformalIntervals(model, by=attributes).fit(calibrate, y_calibrate)
options = {"attributes": attributes, "n_boot": 200}
reports = {
    "model": report,
    "all rows": marginal.fairness_report(test, hours[test.index], **options),
    "by group": by_group.fairness_report(test, hours[test.index], **options),
}

# %% tags=["thumbnail"]
plot_group_coverage(reports)

# %%
lines = pd.concat({name: one.frame for name, one in reports.items()}, names=["intervals"])
covered = lines.query("metric == 'coverage' and effects == 'mixed' and group != 'all'")
spread = covered.groupby(["attribute", "intervals"], sort=False)["value"].agg(["min", "max"])
spread.round(3)

# %% [markdown]
# Women and men are covered alike from the start. Calibrated on all rows, 90 % is right on average
# and wrong for most: occupations are as far apart as before, and people above 45 get .87. Calibrated
# by group, both sexes and all age brackets lie within a point and a half of .9, and occupations between
# .85 and .93. It shows in the widths: 24 hours for machine operators instead of 37, 50 in private
# households. Drivers, .86 of 543 rows, are still below. The promise is one on average over tables
# to calibrate on, and each table, of a few hundred drivers here, is luck too; private households
# have 48 test rows, with which .85 cannot be told from .9.
#
# ## A target of classes: sets instead of intervals
#
# Part time, full time, or long hours? Where the model cannot tell, an honest answer is more than one
# class. `ConformalSets` gives sets that hold the true class in 90 of 100 cases, of all rows together, or
# of every class.

# %%
names = ["part time", "full time", "long hours"]
working = pd.cut(hours, [0, 34, 45, 99], labels=names).astype(str)
classifier = pf.FairMixedEffectsClassifier(
    "occupation", ["sex", age], fairness=None, unseen="sample", random_state=0, **settings
)
classifier.fit(X, working[X.index])
y_working, truth = working[calibrate.index], pd.get_dummies(working[test.index])
told = {}
for name, by_class in {"all rows": False, "each class": True}.items():
    sets = pf.ConformalSets(classifier, class_conditional=by_class).fit(calibrate, y_working)
    found = sets.predict_set(test, level=0.9)
    covered = (found[names] & truth[names]).any(axis=1)
    told[name] = covered.groupby(working[test.index]).mean()
    told[name]["all"], told[name]["classes in a set"] = covered.mean(), found["size"].mean()
pd.DataFrame(told).round(2)

# %% [markdown]
# Calibrated on all rows, sets hold the truth in 90 of 100 cases and in only 71 of 100 where it is part
# time: the many who work full time pay for the rest. Calibrated class by class, every class gets its 90.
# The price is 2.1 classes in a set instead of 1.8, of three: covariates and occupation tell hours badly,
# and the sets say so.
#
# ## Occupations that training never saw
#
# Two were kept out. Their people are predicted with an effect drawn from the fitted spread of
# occupations, and again after `adapt` has learned them from 50 rows each.

# %%
few, rest = train_test_split(people[later], train_size=0.5, random_state=1)
taught = few.groupby("occupation").head(50)
grown = model.adapt(taught, hours[taught.index])
held = {}
for name, one in {"never seen": model, "adapted": grown}.items():
    interval = one.predict_interval(rest, kind="observation", level=0.9)
    inside = hours[rest.index].between(interval["low"], interval["high"])
    held[name] = inside.groupby(rest["occupation"]).mean()
    held[f"{name}, width"] = (interval["high"] - interval["low"]).groupby(rest["occupation"]).mean()
pd.DataFrame(held).round(2)

# %% [markdown]
# Intervals for people in technical support hold what they say, those for farmers do not: .78, and
# learning 50 of them changes nothing. `adapt` learns where a cluster lies, not how much its people
# differ, and farmers differ more than others. The intervals hardly become narrower either: of their
# 38 hours the occupation is a small part, what one person does the large one.
#
# **What was found.** A model's 90 % intervals can be right on average and for both sexes, and still
# be wrong by 17 points for an occupation. Coverage has to be asked for by group; rows set aside for
# it give every named group nearly what was promised, at the price of wider intervals where people
# differ more. That promise is for groups that were named and for rows like these. It does not reach
# new clusters: there the first rows of the cluster have to show it.

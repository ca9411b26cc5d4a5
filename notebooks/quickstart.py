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
# # Who earns more? From a table to a fairness card
#
# A model that finds high earners, whose errors do not depend on sex and age: fit it, look at it,
# judge it, and hand over one file. Ten minutes.
#
# The Adult data are answers to the US census of 1994. We predict whether a person earns more than
# 50,000 dollars a year, as a stand-in for any decision about people. Occupations are the
# *clusters*: pay differs between them, and each gets an effect of its own.

# %%
from sklearn.base import clone
from sklearn.model_selection import train_test_split

import pyfairme as pf
from pyfairme.plots import plot_caterpillar

# %% nbmake={"mock": {"rows": 800, "test_rows": 600, "settings": {"min_steps": 100, "guide": "mean_field"}}}
rows = 12_000  # to train on
test_rows = 8_000
settings = {"min_steps": 2_000}

# %% [markdown]
# A data set shows its columns, its clusters and its protected groups.

# %%
adult = pf.datasets.load_adult()
adult

# %% [markdown]
# ## Fit
#
# You name two things: the cluster column, and the *sensitive* attributes. All other columns are
# covariates, so we drop two that are none: a survey weight, and a country with many rare levels.
# Age is a number and needs brackets to make groups.

# %%
people = adult.frame.drop(columns=["fnlwgt", "native_country"])
X, X_test, y, y_test = train_test_split(
    people, adult.target, train_size=rows, test_size=test_rows, random_state=0
)
age = pf.Binned("age", (30, 45), name="age_bracket")
fair = pf.FairMixedEffectsClassifier(
    cluster="occupation",
    sensitive=["sex", age],
    threshold="balanced_accuracy",
    random_state=0,
    **settings,
)
fair.fit(X, y)

# %% [markdown]
# ## Look
#
# Which occupations pay more or less than people with the same covariates earn elsewhere? Effects
# are differences in log-odds, with 90 % intervals. Those whose interval holds 0 are grey.

# %% tags=["thumbnail"]
plot_caterpillar(fair.cluster_effects_, unit="log-odds")

# %% [markdown]
# Managers earn more than their covariates alone would say, people in services and in farming less.
# Few people in the table serve in the armed forces or in private houses: their intervals are wide,
# and their effects are drawn towards 0.
#
# Each prediction has an interval. On a table of this size it holds what is uncertain about the
# occupation; [up to 10,000 rows](../docs/network_uncertainty.md) it holds the network's error too.

# %%
five = X_test.head(5)
five[["occupation", "age", "education"]].join(fair.predict_interval(five, level=0.9))

# %% [markdown]
# ## Judge
#
# Always on rows that the model has not seen. The report begins with a verdict for each attribute:
# how far the error rates of its groups are apart, and how far apart chance alone would put groups
# of these sizes.

# %%
report = fair.fairness_report(X_test, y_test)
report

# %%
report.plot()

# %% [markdown]
# Women and men who do earn more are found equally often, and so are the three age brackets, as far
# as these rows can tell. Of those who do *not* earn more, men and older people are still taken for
# high earners two to three times as often as women and the young.
#
# What has fairness cost? The same model without the pressure towards equal error rates
# (`fairness_weight=0`), judged on the same rows:

# %%
plain = clone(fair).set_params(fairness_weight=0).fit(X, y)
plain.fairness_report(X_test, y_test).compare(report, names=("plain", "fair"))

# %% [markdown]
# One point of balanced accuracy buys true positive rates that differ by chance at most, and halves
# the differences of false positive rates. Two things got worse besides: the log loss, and how well
# probabilities are calibrated within groups. Whether that is a good exchange is a decision, not a
# result.
#
# ## Hand over
#
# The card is one HTML file that opens offline. Its first screen has the verdict in plain words, how
# often the outcome is positive in each group, cautions and a picture; below stand the data and their
# roles, the model, the report line by line, and what the occupations do to each group. A cell that
# ends with `card` shows the whole of it; here is how it begins.

# %%
card = fair.card(X_test, y_test, intended_use="An example; not for decisions about people.")
print(card)

# %% [markdown]
# ```python
# card.save("card.html")  # for your colleagues; also "card.md" and "card.json"
# fair.save("adult.pyfairme")  # for your programs: pf.load("adult.pyfairme").predict(X)
# ```
#
# **What was found.** Occupations differ by more than the covariates of their people explain. A
# model that ignores fairness errs differently on women and men, and on the young and the old; the
# adversaries removed the difference in who is found, and half of that in who is mistaken, for one
# point of balanced accuracy. This holds for rows like these: other occupations, other years, and
# groups that no column records need a report of their own.

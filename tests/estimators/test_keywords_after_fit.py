"""Keywords that are changed after fit, and rows given in another order than their target."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from pyfairme.notices import DataWarning
from pyfairme.postprocessing.group_thresholds import GroupThresholds


def test_a_threshold_set_after_fit_decides(clf, binary):
    model = copy.copy(clf).set_params(threshold=0.8)
    positive = model.predict_proba(binary.test)[:, 1]
    np.testing.assert_array_equal(model.predict(binary.test), (positive >= 0.8).astype(int))
    assert model.threshold_ == dict.fromkeys(("fixed", "random", "mixed"), 0.8)
    model.threshold = 0.3  # past set_params
    np.testing.assert_array_equal(model.predict(binary.test), (positive >= 0.3).astype(int))
    with pytest.raises(ValueError, match=r"threshold: 1\.5\. Expected .* \[threshold\]"):
        model.set_params(threshold=1.5)
    assert clf.threshold == clf.threshold_["mixed"] == 0.5


def test_a_threshold_to_be_chosen_needs_a_fit(clf, binary):
    model = copy.copy(clf).set_params(threshold="balanced_accuracy")
    with pytest.raises(ValueError, match=r"threshold \(0\.5, now 'balanced_.* \[changed-after-fit"):
        model.predict(binary.test)


@pytest.mark.parametrize("changed", [{"cluster": "group2"}, {"epochs": 7}, {"missing": "raise"}])
def test_what_only_a_fit_can_obey_raises_until_then(clf, binary, changed):
    model = copy.copy(clf).set_params(**changed)
    calls = (model.predict_proba, model.to_arviz, model.refine, model.random_disparity)
    for call in calls:
        with pytest.raises(ValueError, match=r"Keywords were changed .* Call fit again, or"):
            call() if call in (model.to_arviz, model.refine) else call(binary.test)
    model.set_params(**{name: getattr(clf, name) for name in changed}, progress=True)
    np.testing.assert_array_equal(model.predict(binary.test), clf.predict(binary.test))


def test_a_policy_with_a_typo_predicts_nothing(clf, binary):
    model = copy.copy(clf).set_params(unseen="populaton")
    with pytest.raises(ValueError, match=r"unseen: 'populaton'\. Valid values are \['infer'"):
        model.predict(binary.unseen)


def test_a_generator_as_random_state_is_no_change(classifier, binary):
    model = classifier(random_state=np.random.RandomState(0)).fit(binary.X, binary.y)
    for same in (model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        same.predict(binary.test)


def test_what_adapt_left_does_not_survive_a_fit(clf, binary):
    adapted = clf.adapt(binary.unseen, binary.y_unseen)
    assert len(adapted.disparity_)
    assert not hasattr(adapted.fit(binary.X, binary.y), "disparity_")


def test_rows_of_refine_come_together(clf, binary):
    for given in ({"y": binary.y}, {"sample_weight": np.ones(400)}):
        with pytest.raises(ValueError, match=r"refine got \w+ without X: .* \[y-without-x\]"):
            clf.refine(**given)
    with pytest.raises(ValueError, match=r"refine got X without y.* \[x-without-y\]"):
        clf.refine(X=binary.X)


def test_labels_in_another_order_are_told_wherever_y_is_given(clf, reg, binary, real):
    y = binary.y_test.sample(frac=1, random_state=0)
    new = binary.y_unseen.sample(frac=1, random_state=0)
    weight = pd.Series(1.0, index=y.index)
    calls = [
        lambda: clf.score(binary.test, y),
        lambda: clf.score(binary.test, binary.y_test, weight),
        lambda: clf.fairness_report(binary.test, y, n_boot=0),
        lambda: clf.adapt(binary.unseen, new),
        lambda: clf.to_arviz(binary.test, y, draws=1),
        lambda: GroupThresholds(clf, "group1").fit(binary.test, y),
        lambda: reg.score(real.test, real.y_test.sample(frac=1, random_state=0)),
    ]
    for call in calls:
        with pytest.warns(DataWarning, match=r"another order, .* \[other-row-order\]"):
            call()
    assert clf.score(binary.test, y.to_numpy()) < clf.score(binary.test, binary.y_test)

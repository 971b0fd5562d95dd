"""Held-out rows and the scores that scikit-learn and SciPy give them.

python3 -m venv /tmp/scores && /tmp/scores/bin/pip install scikit-learn==1.9.1 scipy==1.17.1
/tmp/scores/bin/python tests/golden/make_scores.py > tests/golden/scores/scores.json

Outputs are multiples of a quarter, so that many are equal and ties are part of what is compared.
Ranks come from log odds in float32, which grow with the probability: rounding must not break ties.
"""

import json
import platform
import sys
import warnings

import numpy as np
import scipy
import scipy.optimize
import sklearn
from scipy.special import expit, log_softmax, logsumexp, softmax
from scipy.stats import pearsonr, spearmanr
from sklearn import metrics

warnings.simplefilter("ignore")


def rounded(values):
    return np.round(np.asarray(values) * 4) / 4


def by_class(truth, said, scores):
    """Numbers of one class against the rest; None where scikit-learn has only a warning."""
    truth, said = np.asarray(truth, bool), np.asarray(said, bool)
    curves = truth.any() and not truth.all()
    none = lambda defined, value: float(value) if defined else None
    return {
        "precision": none(said.any(), metrics.precision_score(truth, said)),
        "recall": none(truth.any(), metrics.recall_score(truth, said)),
        "f1": none(truth.any() or said.any(), metrics.f1_score(truth, said)),
        "roc_auc": float(metrics.roc_auc_score(truth, scores)) if curves else None,
        "average_precision": float(metrics.average_precision_score(truth, scores)) if curves else None,
        "positives": int(truth.sum()),
        "negatives": int((~truth).sum()),
    }


def mean(classes, key):
    values = [one[key] for one in classes if one[key] is not None]
    return float(np.mean(values)) if values else None


def single(random, rows, classes, skill, absent=()):
    present = [one for one in range(classes) if one not in absent]
    truth = random.choice(present, rows)
    outputs = random.normal(0, 1.5, (rows, classes))
    outputs[np.arange(rows), truth] += skill
    outputs = rounded(outputs)
    said = outputs.argmax(1)
    odds = np.stack(
        [outputs[:, one] - logsumexp(np.delete(outputs, one, 1), axis=1) for one in range(classes)], 1
    ).astype(np.float32)
    each = [by_class(truth == one, said == one, odds[:, one]) for one in range(classes)]
    # Where rounding breaks no ties, the probabilities themselves give the same.
    likely = np.round(softmax(outputs, axis=1), 12)
    for one, scores in enumerate(each):
        if scores["roc_auc"] is not None:
            assert abs(metrics.roc_auc_score(truth == one, likely[:, one]) - scores["roc_auc"]) < 1e-12
    return {
        "task": "single",
        "classes": classes,
        "outputs": outputs.ravel().tolist(),
        "targets": truth.tolist(),
        "accuracy": float(metrics.accuracy_score(truth, said)),
        "balanced_accuracy": float(metrics.balanced_accuracy_score(truth, said)),
        "macro_f1": float(metrics.f1_score(truth, said, average="macro")),
        "macro_roc_auc": mean(each, "roc_auc"),
        "mean_average_precision": mean(each, "average_precision"),
        "log_loss": float(metrics.log_loss(truth, softmax(outputs, axis=1), labels=range(classes))),
        "confusion": metrics.confusion_matrix(truth, said, labels=range(classes)).tolist(),
        "by_class": each,
    }


def multi(random, rows, classes, skill, known_share):
    truth = (random.random((rows, classes)) < 0.3).astype(int)
    truth[:, -1] = 1  # never known not to be there
    outputs = rounded(random.normal(0, 1.5, (rows, classes)) + skill * (truth - 0.5))
    known = random.random((rows, classes)) < known_share
    each, balanced = [], []
    for one in range(classes):
        cells = known[:, one]
        there, scores = truth[cells, one], outputs[cells, one]
        each.append(by_class(there, scores >= 0, scores))
        if there.any() and not there.all():
            balanced.append(metrics.balanced_accuracy_score(there, scores >= 0))
    return {
        "task": "multi",
        "classes": classes,
        "outputs": outputs.ravel().tolist(),
        "targets": np.where(known, truth, -1).ravel().tolist(),
        "accuracy": float(np.mean(balanced)),
        "balanced_accuracy": float(np.mean(balanced)),
        "macro_f1": mean(each, "f1"),
        "macro_roc_auc": mean(each, "roc_auc"),
        "mean_average_precision": mean(each, "average_precision"),
        "log_loss": float(metrics.log_loss(truth[known], expit(outputs[known]), labels=[0, 1])),
        "by_class": each,
    }


def numbers(random, rows, noise):
    truth = rounded(random.normal(100, 20, rows)).astype(np.float32)
    said = rounded(truth + random.normal(0, noise, rows)).astype(np.float32)
    truth64, said64 = truth.astype(float), said.astype(float)
    always = np.full(rows, truth64.mean())
    return {
        "task": "regression",
        "classes": 1,
        "outputs": said64.tolist(),
        "targets": truth64.tolist(),
        "mean_absolute_error": float(metrics.mean_absolute_error(truth64, said64)),
        "root_mean_square_error": float(metrics.root_mean_squared_error(truth64, said64)),
        "r_squared": float(metrics.r2_score(truth64, said64)),
        "spearman": float(spearmanr(truth64, said64).statistic),
        "pearson": float(pearsonr(truth64, said64).statistic),
        "baseline_mean_absolute_error": float(metrics.mean_absolute_error(truth64, always)),
    }


def temperatures(case):
    """The temperature of the least log loss, by SciPy."""
    outputs = np.array(case["outputs"]).reshape(-1, case["classes"])
    targets = np.array(case["targets"])
    if case["task"] == "single":
        rows = np.arange(len(outputs))
        loss = lambda log: -log_softmax(outputs / np.exp(log), axis=1)[rows, targets].mean()
    else:
        targets = targets.reshape(outputs.shape)
        signs = np.where(targets == 1, 1, -1)[targets >= 0]
        known = outputs[targets >= 0]
        loss = lambda log: np.logaddexp(0, -signs * known / np.exp(log)).mean()
    found = scipy.optimize.minimize_scalar(
        loss, bounds=(np.log(0.1), np.log(100)), method="bounded", options={"xatol": 1e-10}
    )
    return {"temperature": float(np.exp(found.x)), "log_loss_at_temperature": float(found.fun)}


random = np.random.default_rng(5)
cases = [
    single(random, 60, 4, 2.0),
    single(random, 40, 2, 1.0),
    single(random, 50, 6, 0.0, absent=(2,)),
    multi(random, 60, 5, 2.0, 1.0),
    multi(random, 60, 5, 1.0, 0.5),
    numbers(random, 60, 10),
    numbers(random, 40, 60),
]
for case in cases:
    if case["task"] != "regression":
        case.update(temperatures(case))
json.dump(
    {
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "cases": cases,
    },
    sys.stdout,
)
print()

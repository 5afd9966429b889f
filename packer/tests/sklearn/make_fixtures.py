"""Makes metrics.json and logistic.json: what scikit-learn says about small made-up predictions and features.

  pip install numpy scikit-learn && python make_fixtures.py

The calibration error is not in scikit-learn: it is computed here from its definition (Guo et al. 2017), by numpy's histogram bins.
"""
import json
import pathlib

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, precision_score,
                             recall_score, roc_auc_score)

HERE = pathlib.Path(__file__).parent
random = np.random.default_rng(20)


def calibration_error(labels, probabilities, weights, bins=15):
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    bin_of = np.digitize(confidence, np.linspace(0, 1, bins + 1), right=True)
    error = 0.0
    for b in np.unique(bin_of):
        inside = bin_of == b
        if weights[inside].sum():
            gap = np.average(right[inside], weights=weights[inside]) - np.average(confidence[inside], weights=weights[inside])
            error += abs(gap) * weights[inside].sum() / weights.sum()
    return error


def auc(labels, probabilities, weights, classes):
    if classes == 2:
        return roc_auc_score(labels, probabilities[:, 1], sample_weight=weights)
    present = np.unique(labels[weights > 0])
    return np.mean([roc_auc_score(labels == c, probabilities[:, c], sample_weight=weights) for c in present])


def metrics_case(name, n, classes, skill, coarse=False, weighted=False, absent=None, never=None):
    labels = random.integers(0, classes, n)
    if absent is not None:
        labels[labels == absent] = (absent + 1) % classes
    logits = random.normal(size=(n, classes))
    logits[np.arange(n), labels] += skill
    if never is not None:
        logits[:, never] -= 20
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    p = (np.round(p * 20) / 20 if coarse else p).astype(np.float32)
    if coarse:  # ties: rows stay distributions
        p[:, 0] += 1 - p.sum(1)
        p = np.clip(p, 0, 1)
    weights = random.integers(0, 4, n) if weighted else np.ones(n, int)
    p64, predicted = p.astype(float), p.argmax(1)
    present = np.unique(labels[weights > 0])
    macro = dict(labels=present, average="macro", sample_weight=weights, zero_division=0)
    values = [accuracy_score(labels, predicted, sample_weight=weights),
              balanced_accuracy_score(labels[weights > 0], predicted[weights > 0], sample_weight=weights[weights > 0]),
              auc(labels, p64, weights, classes),
              f1_score(labels, predicted, **macro), precision_score(labels, predicted, **macro),
              recall_score(labels, predicted, **macro), calibration_error(labels, p64, weights)]
    confusion = confusion_matrix(labels, predicted, labels=range(classes), sample_weight=weights).astype(int)
    return dict(name=name, classes=classes, labels=labels.tolist(), probabilities=[[float(np.format_float_positional(v)) for v in r] for r in p],
                weights=weights.tolist(), metrics=[float(v) for v in values], confusion=confusion.tolist())


def logistic_case(name, n, width, classes, c, balanced):
    centres = random.normal(size=(classes, width))
    labels = np.concatenate([np.arange(classes), random.choice(classes, n - classes, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())])
    scale, offset = np.exp(random.normal(size=width)), random.normal(size=width) * 3
    draw = lambda y: np.round((centres[y] * .7 + random.normal(size=(len(y), width))) * scale + offset, 3).astype(np.float32)
    train, test = draw(labels), draw(random.integers(0, classes, 12))
    train[:, -1] = test[:, -1] = 2.5  # a constant column
    mean, sd = train.astype(float).mean(0), train.astype(float).std(0)
    sd[sd < 1e-12] = 1
    model = LogisticRegression(C=c, class_weight="balanced" if balanced else None, max_iter=10000, tol=1e-8)
    model.fit((train - mean) / sd, labels)
    rows = lambda a: [[float(np.format_float_positional(v)) for v in r] for r in a]
    return dict(name=name, classes=classes, c=c, balanced=balanced, train=rows(train), labels=labels.tolist(), test=rows(test),
                probabilities=model.predict_proba((test - mean) / sd).tolist())


def write(name, cases):
    (HERE / name).write_text("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")


write("metrics.json", [
    metrics_case("two classes", 60, 2, 1.0),
    metrics_case("two classes, ties", 80, 2, 0.5, coarse=True),
    metrics_case("three classes", 60, 3, 1.5),
    metrics_case("three classes, ties, weighted", 60, 3, 1.0, coarse=True, weighted=True),
    metrics_case("two classes, weighted", 50, 2, 1.0, weighted=True),
    metrics_case("four classes, one absent", 50, 4, 1.0, absent=2),
    metrics_case("three classes, one never predicted", 50, 3, 1.0, never=1, weighted=True),
])
write("logistic.json", [
    logistic_case("two classes, probe", 40, 6, 2, 0.1, False),
    logistic_case("two classes, balanced", 40, 6, 2, 1.0, True),
    logistic_case("three classes, probe", 50, 8, 3, 0.1, False),
    logistic_case("four classes, balanced", 60, 6, 4, 1.0, True),
    logistic_case("more features than images", 20, 30, 3, 0.1, False),
])

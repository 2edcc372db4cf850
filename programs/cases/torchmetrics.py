"""torchmetrics: metrics over two batches, as modules."""

import torch
import torchmetrics as tm
from torchmetrics import functional as F

from programs.case import CASES, Case, function


def metric(name, build, *draws):
    def run():
        made = build()
        found = [made(*[draw() for draw in draws]) for _ in range(2)]
        return {"batches": found, "all": made.compute(), "state": made.metric_state}

    CASES[name] = Case(run)


def logits():
    return torch.randn(20, 5).softmax(1)


def classes():
    return torch.randint(5, (20,))


def reals():
    return torch.randn(20)


def probabilities():
    return torch.rand(20)


def bits():
    return torch.randint(2, (20,))


KINDS = """Accuracy Precision Recall F1Score Specificity ConfusionMatrix AUROC AveragePrecision CohenKappa MatthewsCorrCoef
JaccardIndex CalibrationError HingeLoss ROC PrecisionRecallCurve StatScores""".split()
for kind in KINDS:
    metric(f"Multiclass{kind}", lambda kind=kind: getattr(tm.classification, f"Multiclass{kind}")(num_classes=5), logits, classes)
for kind in ("Accuracy", "AUROC", "F1Score", "AveragePrecision", "ConfusionMatrix"):
    metric(f"Binary{kind}", lambda kind=kind: getattr(tm.classification, f"Binary{kind}")(), probabilities, bits)
for kind in ("MeanSquaredError", "MeanAbsoluteError", "R2Score", "PearsonCorrCoef", "SpearmanCorrCoef", "ExplainedVariance",
             "ConcordanceCorrCoef", "NormalizedRootMeanSquaredError", "LogCoshError", "KendallRankCorrCoef"):  # fmt: skip
    metric(kind, lambda kind=kind: getattr(tm, kind)(), reals, reals)
metric("MeanMetric", tm.MeanMetric, reals)
metric("SumMetric", tm.SumMetric, reals)
metric("CatMetric", tm.CatMetric, reals)
metric("MaxMetric", tm.MaxMetric, reals)


@function
def a_collection():
    metrics = tm.MetricCollection([tm.MeanSquaredError(), tm.MeanAbsoluteError()], prefix="val_")
    metrics.update(torch.randn(9), torch.randn(9))
    tracker = tm.wrappers.MetricTracker(tm.MeanSquaredError(), maximize=False)
    for _ in range(3):
        tracker.increment()
        tracker.update(torch.randn(9), torch.randn(9))
    return metrics.compute(), tracker.compute_all(), tracker.best_metric(return_step=True)


@function
def functions():
    x, y = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    return [
        F.image.peak_signal_noise_ratio(x, y, data_range=1.0),
        F.image.structural_similarity_index_measure(x, y),
        F.image.total_variation(x),
        F.image.universal_image_quality_index(x, y),
        F.pairwise_cosine_similarity(x[0, 0], y[0, 0]),
        F.text.char_error_rate(["abc"], ["abd"]),
        F.audio.signal_noise_ratio(torch.randn(40), torch.randn(40)),
        F.retrieval.retrieval_normalized_dcg(torch.randn(9), torch.randint(2, (9,))),
    ]

"""Real reviews that come with the package."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

from netsynth.data.endpoint import ENDPOINTS, Endpoint
from netsynth.data.review import Review
from netsynth.errors import InconsistentReportWarning
from netsynth.io.read import read_review

__all__ = ["load_fibrinogen", "load_gliomas", "load_nethm"]

_FOLDER: Final = Path(__file__).parent
#: What the studies of `load_nethm` report beside the common endpoints.
_NETHM_ENDPOINTS: Final = (
    *ENDPOINTS,
    Endpoint("symptom_free_survival", "symptom-free survival"),
    Endpoint("early_recurrence", "early recurrence", "incidence"),
    Endpoint("late_recurrence", "late recurrence", "incidence"),
    Endpoint("early_intrahepatic_recurrence", "early intrahepatic recurrence", "incidence"),
)


def load_fibrinogen() -> Review:
    """Plasma fibrinogen and coronary heart disease: hazard ratios of 31 cohorts with 7118 events.

    Each cohort gives the hazard ratio per 1 g/l higher fibrinogen, adjusted for age, as in [1]_. The cohorts are known
    by numbers only. The folder ``netsynth/datasets/fibrinogen`` has the tables and a README.

    Returns
    -------
    Review
        Its `factors` hold the ratios, for the endpoint "CHD".

    References
    ----------
    .. [1] Thompson S et al. (2010). Statistical methods for the time-to-event analysis of individual participant data
       from multiple epidemiological studies. Int J Epidemiol 39:1345-1359. https://doi.org/10.1093/ije/dyq063

    Examples
    --------
    >>> from netsynth import summarize_factors
    >>> row = summarize_factors(load_fibrinogen()).row("fibrinogen", "CHD")
    >>> pooled = row.ratios("adjusted").pooled
    >>> print(f"{pooled.natural:.2f}")
    1.56
    """
    return read_review(
        _FOLDER / "fibrinogen",
        endpoints=(*ENDPOINTS, Endpoint("CHD", "coronary heart disease", "incidence")),
        title="Plasma fibrinogen and coronary heart disease",
    )


def load_gliomas() -> Review:
    """Survival after radiotherapy for malignant gliomas, with and without chemotherapy: 17 trials of two arms.

    The number of patients alive at 6, 12, 18 and 24 months in each arm, as put together from two earlier papers
    [1]_. The trials are known by numbers only. The folder ``netsynth/datasets/gliomas`` has the tables and a README.

    Returns
    -------
    Review
        Evidence sets: "chemotherapy" (role arm) and "control" (role comparator).

    References
    ----------
    .. [1] Trikalinos TA, Olkin I (2012). Meta-analysis of effect sizes reported at multiple time points: A
       multivariate approach. Clin Trials 9:610-620. https://doi.org/10.1177/1740774512453218

    Examples
    --------
    >>> review = load_gliomas()
    >>> review.select_survival("OS", 12, sets=["chemotherapy"]).k
    17
    """
    return read_review(
        _FOLDER / "gliomas", title="Radiotherapy with and without chemotherapy for malignant gliomas"
    )


def load_nethm() -> Review:
    """Reported outcomes after resection of neuroendocrine liver metastases: 44 studies, 1990 to 2023.

    The figures were read from public abstracts and from tables of reviews, and are as messy as the
    literature: overlapping and duplicated cohorts, subgroups, comparators, open-ended medians, p-values as
    bounds, means for medians, times that were never stated. `targets` holds what a published review of 29
    studies concluded [1]_. The folder ``netsynth/datasets/nethm`` has the tables and a README with how they
    were made and what is known to conflict.

    Contradictions among the figures do not warn here, since they are known; they are in `Review.warnings`.

    Returns
    -------
    Review
        Evidence sets: "core" (the resected cohort or arm, published before September 2010), "mixed" (also
        patients treated otherwise), "newer" and "mixed_newer" (published later), "subgroup" and
        "mixed_subgroup", "comparator", "duplicate".

    References
    ----------
    .. [1] Saxena A et al. (2012). Surgical resection of hepatic metastases from neuroendocrine neoplasms: a
       systematic review. Surg Oncol 21:e131-e141. https://doi.org/10.1016/j.suronc.2012.05.001

    Examples
    --------
    >>> review = load_nethm()
    >>> review.select_survival("OS", 60, sets=["core"]).k
    12
    >>> print(review.warnings[0])
    InconsistentReportWarning: glazer_2010: median OS of 9.6 years, yet it was still 50.4% at 10 years
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentReportWarning)
        return read_review(
            _FOLDER / "nethm",
            endpoints=_NETHM_ENDPOINTS,
            title="Hepatic resection for neuroendocrine liver metastases",
        )

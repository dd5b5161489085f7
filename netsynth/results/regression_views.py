"""A meta-regression in words, as frames, and as plain types for JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from netsynth import _format
from netsynth._compat import INTERCEPT
from netsynth._typing import JSON
from netsynth.kernels.scales import MEASURES

if TYPE_CHECKING:
    import pandas as pd

    from netsynth.results.regression import MetaRegression

_HEADER = ("estimate", "se", "95% CI", "p")


def text(result: MetaRegression) -> str:
    """Model and k, the coefficients, what the moderators explain and what they leave, and the warnings."""
    lines = [f"  {line}" for line in _format.text_table(("", *_HEADER), _rows(result)).splitlines()]
    if set(result.names) - {INTERCEPT}:
        r2 = "" if math.isnan(result.r2) else f"   R2 {100 * result.r2:.0f}%"
        lines.append(f"  moderators  {result.omnibus}{r2}")
    df = result.k - result.p
    q_test = f"Q {_format.number(result.q, 2)} on {df} df, {_format.pvalue(result.q_pvalue)}"
    spread = f"I2 {100 * result.i2:.0f}%   {q_test}"
    if result.tau2_method != "CE":
        low, high = map(_format.significant, result.tau2_interval())
        spread = f"tau2 {_format.significant(result.tau2)}   95% CI [{low}, {high}]   {spread}"
    lines.append(f"  residual    {spread}")
    return "\n".join([_title(result), *lines, *(f"  {caution}" for caution in result.warnings)])


def html(result: MetaRegression) -> str:
    """The coefficients as a table."""
    return _format.html_table(("coefficient", *_HEADER), _rows(result), caption=_title(result))


def _title(result: MetaRegression) -> str:
    measure = MEASURES[result.measure]
    label = measure.label if measure.kind == "difference" else f"{measure.label} ({measure.scale} scale)"
    model = "common effect" if result.tau2_method == "CE" else f"tau2 by {result.tau2_method}"
    return f"{label}, meta-regression, {model}, CI by {result.ci_method}, k = {result.k}"


def _rows(result: MetaRegression) -> list[tuple[str, ...]]:
    ci = result.confidence_interval()
    return [
        (
            name,
            _format.significant(value),
            _format.significant(se),
            "undefined" if math.isnan(low) else f"[{_format.significant(low)}, {_format.significant(high)}]",
            _format.pvalue(p).removeprefix("p = ").removeprefix("p "),
        )
        for name, value, se, low, high, p in zip(
            result.names, result.coefficient, result.se, *ci, result.pvalue, strict=True
        )
    ]


def coefficients(result: MetaRegression, level: float) -> pd.DataFrame:
    """One row a coefficient."""
    import pandas as pd

    ci = result.confidence_interval(level)
    columns = {
        "estimate": result.coefficient,
        "se": result.se,
        "statistic": result.statistic,
        "df": result.df,
        "pvalue": result.pvalue,
        "ci_lower": ci.lower,
        "ci_upper": ci.upper,
    }
    return pd.DataFrame(columns, index=pd.Index(result.names, name="coefficient"))


def studies(result: MetaRegression, level: float) -> pd.DataFrame:
    """One row a study."""
    import pandas as pd

    fitted = result.predict(level=level)
    columns = {
        **result.moderators,
        "estimate": result.study_estimate,
        "se": result.study_se,
        "fitted": result.fitted,
        "fitted_lower": fitted.ci_lower,
        "fitted_upper": fitted.ci_upper,
        "residual": result.study_estimate - result.fitted,
        "leverage": result.leverage,
        "weight": result.weight,
    }
    return pd.DataFrame(columns, index=pd.Index(result.study, name="study"))


def model(result: MetaRegression, level: float) -> dict[str, Any]:
    """What is said of the model as a whole."""
    tau2, test, fit = result.tau2_interval(level), result.omnibus, result.criteria()
    return {
        "k": result.k,
        "p": result.p,
        "tau2": result.tau2,
        "tau2_se": result.tau2_se,
        "tau2_lower": tau2.lower,
        "tau2_upper": tau2.upper,
        "tau2_null": result.tau2_null,
        "r2": result.r2,
        "i2": result.i2,
        "i2_tau2": result.i2_tau2,
        "q": result.q,
        "q_pvalue": result.q_pvalue,
        "moderators_statistic": test.statistic,
        "moderators_df": test.df,
        "moderators_df_residual": test.df_residual,
        "moderators_pvalue": test.pvalue,
        "log_likelihood": fit.log_likelihood,
        "aic": fit.aic,
        "aicc": fit.aicc,
        "bic": fit.bic,
        "tau2_method": result.tau2_method,
        "ci_method": result.ci_method,
    }


def plain_dict(result: MetaRegression, level: float) -> JSON:
    """Plain types for JSON."""
    rows = coefficients(result, level).reset_index().to_dict("records")
    return {
        "measure": result.measure,
        "level": level,
        "coefficients": [{str(name): _format.plain(value) for name, value in row.items()} for row in rows],
        "covariance": [[_format.plain(value) for value in row] for row in result.covariance.tolist()],
        **{name: _format.plain(value) for name, value in model(result, level).items()},
        "study": list(result.study),
        "warnings": [str(caution) for caution in result.warnings],
    }

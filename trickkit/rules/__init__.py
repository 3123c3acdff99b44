"""Rules: conditions that a row of a table meets or does not, lists of them, and two ways to find a
good list. No torch.
"""

from trickkit.rules.bayesian import (
    Posterior,
    bit_set,
    from_prior,
    metropolis,
    mine,
    most_probable,
    point,
    r_hat,
)
from trickkit.rules.conditions import (
    Condition,
    Rule,
    bin_edges,
    brief,
    column_conditions,
    english,
    fires,
    holds,
    is_number,
    like,
    split_column,
    validate_frame,
    words,
)
from trickkit.rules.optimal import corels, unavoidable_errors
from trickkit.rules.rule_list import evidence, first_that_holds, fit_list


def __getattr__(name: str) -> type:
    if name == "BayesianRuleList":  # here and not above: scikit-learn takes half a second to import
        from trickkit.rules.classifier import BayesianRuleList

        return BayesianRuleList
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), "BayesianRuleList"]

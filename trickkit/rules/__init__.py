"""Rules: conditions that a row of a table meets or does not, lists of them, and two ways to find a good list. No torch."""
from trickkit.rules.bayesian import BayesianRuleList, Posterior, bits, from_prior, metropolis, mine, point, r_hat
from trickkit.rules.conditions import (
    Condition,
    Rule,
    brief,
    check_frame,
    edges,
    english,
    fires,
    holds,
    is_number,
    like,
    parts_of,
)
from trickkit.rules.optimal import Certified, search, unavoidable_errors
from trickkit.rules.rule_list import RuleList, evidence, first_that_holds, listed

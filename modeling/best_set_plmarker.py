"""The best-scoring set of options of which some exclude each other: exact, by branch and bound."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

# Steps by which prices come near to those with the least sum.
PRICE_STEPS = 300
# Differences below this are those of rounding.
TINY = 1e-9
# The problem is NP-hard in general. A search whose nodes times groups times options exceed this, a second or two, ends
# with the best set that it has found, and says so. The sets of trained models take a few nodes. Random scores of 20
# entities take a few hundred.
MOST_WORK = 300_000_000


def best_set(gains: Sequence[float], groups: Sequence[Sequence[int]]) -> list[int]:
    """The options with the highest sum of gains, at most one of each group.

    Each group gets a price, and the prices of an option's groups cover its gain. So no set gains more than the sum of
    the prices (linear programming duality). What a set loses against that sum is the prices of its empty groups, and
    what its options' prices exceed their gains by. The search leaves out all that loses more than the best known set.

    Args:
        gains: of each option, above 0; shape (options,).
        groups: the options of each group, which exclude each other. Each option is in a group.

    Returns:
        The chosen options, ascending.
    """
    values = np.asarray(gains, dtype=np.float64)
    chosen: list[int] = []
    for options in _components(len(values), groups):
        place = {option: number for number, option in enumerate(options)}
        own = [sorted({place[option] for option in group}) for group in groups if set(group) & place.keys()]
        chosen += [options[number] for number in _search(values[options], own)]
    return sorted(chosen)


def _components(n_options: int, groups: Sequence[Sequence[int]]) -> list[list[int]]:
    """The options that are joined by groups, directly or through others."""
    parents = list(range(n_options))

    def root(option: int) -> int:
        while parents[option] != option:
            parents[option] = option = parents[parents[option]]
        return option

    for group in groups:
        for option in group:
            parents[root(option)] = root(group[0])
    members: dict[int, list[int]] = {}
    for option in range(n_options):
        members.setdefault(root(option), []).append(option)
    return list(members.values())


def _search(gains: NDArray[np.float64], groups: Sequence[Sequence[int]]) -> list[int]:
    """The best set of one component."""
    if len(gains) == 1:
        return [0]
    member = np.zeros((len(groups), len(gains)), dtype=bool)
    for number, group in enumerate(groups):
        member[number, list(group)] = True
    # Whether two options exclude each other; each excludes itself.
    rivals = (member.T.astype(np.float32) @ member.astype(np.float32)) > 0
    best = _greedy(gains, gains, rivals)
    prices = _prices(gains, member, float(gains[best].sum()))
    excess = np.maximum(prices @ member - gains, 0.0)
    total = float(prices.sum())
    other = _greedy(-excess, gains, rivals)
    best = max(best, other, key=lambda options: float(gains[options].sum()))
    spare = total - float(gains[best].sum()) - TINY
    # What is open: options that no chosen one excludes, groups without a decision, the loss so far, the chosen options.
    waiting = [(np.ones(len(gains), dtype=bool), prices > 0, 0.0, list[int]())]
    for _ in range(1 + MOST_WORK // member.size):
        if not waiting:
            return best
        options, unsettled, loss, chosen = waiting.pop()
        viable = options & (loss + excess < spare)
        counts = member @ viable.astype(np.int64)
        empty = unsettled & (counts == 0)
        loss += float(prices[empty].sum())
        unsettled = unsettled & ~empty
        if loss >= spare:
            continue
        if not unsettled.any():
            best, spare = chosen, loss - TINY
            continue
        fewest = int(np.where(unsettled, counts, len(gains) + 1).argmin())
        rest = unsettled.copy()
        rest[fewest] = False
        branches = [(viable & ~member[fewest], rest, loss + float(prices[fewest]), chosen)]
        # The last branch is read first.
        for option in sorted(np.flatnonzero(member[fewest] & viable), key=lambda option: -excess[option]):
            filled = unsettled & ~member[:, option]
            branches.append((viable & ~rivals[option], filled, loss + float(excess[option]), [*chosen, int(option)]))
        waiting += branches
    if waiting:
        logger.warning(
            "the search for the best set of %d relations ended early: constraints are kept, but a better set may exist",
            len(gains),
        )
    return best


def _greedy(order: NDArray[np.float64], gains: NDArray[np.float64], rivals: NDArray[np.bool_]) -> list[int]:
    """Options that do not exclude each other, taken by a value, the highest first."""
    taken: list[int] = []
    for option in np.lexsort((-gains, -order)):
        if not rivals[option, taken].any():
            taken.append(int(option))
    return taken


def _prices(gains: NDArray[np.float64], member: NDArray[np.bool_], known: float) -> NDArray[np.float64]:
    """Prices of the groups that cover all gains, with a low sum: by Polyak's subgradient method.

    Args:
        member: which options are in which group; shape (groups, options).
        known: the gain of a known set, which no sum of prices goes below.
    """
    prices = found = np.zeros(len(member))
    least, weight, since = np.inf, 1.0, 0
    matrix = member.astype(np.float64)
    for _ in range(PRICE_STEPS):
        rest = gains - prices @ matrix
        taken = rest > 0
        # No set gains more than this.
        bound = float(prices.sum() + rest[taken].sum())
        since += 1
        if bound < least - TINY:
            found, least, since = prices, bound, 0
        elif since == 10:
            weight, since = 0.7 * weight, 0
        slope = 1.0 - matrix @ taken
        slope[(prices == 0) & (slope > 0)] = 0.0
        norm = float(slope @ slope)
        if norm == 0 or least - known < TINY:
            break
        prices = np.maximum(0.0, prices - weight * (bound - known) / norm * slope)
    return _covering(found, gains, member)


def _covering(
    prices: NDArray[np.float64], gains: NDArray[np.float64], member: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Raise prices until they cover all gains, and lower each as far as the others allow."""
    prices = prices.copy()
    paid = prices @ member
    for number, inside in enumerate(member):
        missing = float((gains[inside] - paid[inside]).max())
        change = max(missing, -prices[number])
        prices[number] += change
        paid[inside] += change
    return prices

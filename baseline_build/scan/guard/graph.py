"""Control flow of one function without values: blocks, what every path passes, what dominates what."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from .program import NEVER_RETURN, Program

_MAX_INSTRUCTIONS = 20_000
EXIT = -1


class Block(NamedTuple):
    """A run of instructions; ``calls`` are direct callees in this file, ``next`` the blocks control may go to."""

    start: int
    end: int
    calls: Tuple[int, ...]
    next: Tuple[int, ...]


class Graph:
    """Blocks of the function at *entry*. Whatever is not followed counts as the way out."""

    def __init__(self, program: Program, entry: int) -> None:
        self.program = program
        self.entry = entry
        self.complete = True
        self.low = program.function_of(entry)
        self.high = program.end_of(self.low)
        self.blocks: Dict[int, Block] = {}
        self._build()

    def _build(self) -> None:
        leaders: Set[int] = {self.entry}
        ends: Dict[int, Tuple[Tuple[int, ...], Tuple[int, ...]]] = {}
        waiting = [self.entry]
        seen: Set[int] = set()
        while waiting:
            address = waiting.pop()
            while address not in seen:
                if len(seen) > _MAX_INSTRUCTIONS:
                    self.complete = False
                    break
                seen.add(address)
                step = self.program.step(address)
                if step is None or not self.low <= address < self.high:
                    ends[address] = ((), (EXIT,))
                    break
                after = address + step.length
                last = step.operations[-1] if step.operations else ("",)
                found = self._ends(last, after)
                if found is not None:
                    ends[address] = found
                    targets = [target for target in found[1] if target != EXIT]
                    leaders.update(targets)
                    waiting.extend(targets)
                    break
                address = after
            else:
                leaders.add(address)
        self._cut(sorted(seen), leaders, ends)

    def _ends(self, last: Tuple[object, ...], after: int) -> Optional[Tuple[Tuple[int, ...], Tuple[int, ...]]]:
        """(callees, following blocks) of an instruction that ends its block; ``None`` for others."""
        kind = last[0]
        if kind in ("ret", "stop", "jumpi"):
            return (), (EXIT,)
        if kind == "jump":
            target = int(str(last[1]))
            return ((), (target,)) if self._inside(target) else (self._callee(target), (EXIT,))
        if kind in ("branch", "zero", "tbit"):
            target = int(str(last[2] if kind != "tbit" else last[3]))
            return (), (after, target if self._inside(target) else EXIT)
        if kind == "call":
            target = int(str(last[1]))
            if self.program.import_at(target) in NEVER_RETURN:
                return (), (EXIT,)
            return self._callee(target), (after,)
        return None

    def _inside(self, target: int) -> bool:
        return self.low <= target < self.high

    def _callee(self, target: int) -> Tuple[int, ...]:
        resolved = None if self.program.import_at(target) is not None else self.program.resolved(target)
        return (resolved,) if resolved is not None and self.program.image.is_code(resolved) else ()

    def _cut(
        self,
        places: List[int],
        leaders: Set[int],
        ends: Mapping[int, Tuple[Tuple[int, ...], Tuple[int, ...]]],
    ) -> None:
        start: Optional[int] = None
        for index, address in enumerate(places):
            if start is None:
                start = address
            step = self.program.step(address)
            after = address + (step.length if step is not None else 1)
            following = places[index + 1] if index + 1 < len(places) else None
            if address in ends:
                calls, targets = ends[address]
                self.blocks[start] = Block(start, after, calls, targets)
                start = None
            elif following != after or following in leaders:
                self.blocks[start] = Block(start, after, (), (after,) if following == after else (EXIT,))
                start = None

    def block_of(self, address: int) -> Optional[Block]:
        """The block *address* lies in."""
        return next((block for block in self.blocks.values() if block.start <= address < block.end), None)

    def always(self) -> List[Block]:
        """Blocks on every path from the entry to the way out, the entry's first. Empty when cut short."""
        if not self.complete or self.entry not in self.blocks:
            return []
        backward: Dict[int, List[int]] = {EXIT: []}
        for block in self.blocks.values():
            for target in block.next:
                backward.setdefault(target if target in self.blocks else EXIT, []).append(block.start)
        tree = dominators(EXIT, backward)
        chain: List[Block] = []
        node: Optional[int] = self.entry
        while node is not None and node != EXIT:
            chain.append(self.blocks[node])
            node = tree.get(node)
        return chain if node == EXIT else []

    def sources(self) -> Dict[int, List[int]]:
        """By block, and for the way out, those that control may come from."""
        found: Dict[int, List[int]] = {}
        for block in self.blocks.values():
            for target in block.next:
                found.setdefault(target, []).append(block.start)
        return found

    def ranks(self) -> Dict[int, int]:
        """Blocks in an order in which each comes after those before it, apart from loops."""
        forward = {
            block.start: [target for target in block.next if target in self.blocks] for block in self.blocks.values()
        }
        order = _postorder(self.entry, forward)
        return {start: len(order) - index for index, start in enumerate(order)}

    def before(self) -> Mapping[int, int]:
        """Immediate dominators by block."""
        forward = {
            block.start: [target for target in block.next if target in self.blocks] for block in self.blocks.values()
        }
        return dominators(self.entry, forward)

    def dominates(self, first: int, second: int, tree: Mapping[int, int]) -> bool:
        """Whether every path from the entry to the instruction at *second* passes the one at *first*."""
        upper, lower = self.block_of(first), self.block_of(second)
        if upper is None or lower is None:
            return False
        if upper.start == lower.start:
            return first < second
        node: Optional[int] = tree.get(lower.start)
        while node is not None:
            if node == upper.start:
                return True
            node = tree.get(node) if node != self.entry else None
        return False


def dominators(root: int, edges: Mapping[int, Iterable[int]]) -> Dict[int, int]:
    """Immediate dominators of what is reached from *root*.

    The iterative algorithm of Cooper, Harvey and Kennedy ("A Simple, Fast Dominance Algorithm", 2001).
    """
    order = _postorder(root, edges)
    number = {node: index for index, node in enumerate(order)}
    sources: Dict[int, List[int]] = {}
    for node in order:
        for target in edges.get(node, ()):
            if target in number:
                sources.setdefault(target, []).append(node)
    tree: Dict[int, int] = {root: root}
    changed = True
    while changed:
        changed = False
        for node in reversed(order):
            if node == root:
                continue
            known = [source for source in sources.get(node, ()) if source in tree]
            best = known[0]
            for other in known[1:]:
                best = _meet(best, other, tree, number)
            if tree.get(node) != best:
                tree[node] = best
                changed = True
    del tree[root]
    return tree


def _meet(first: int, second: int, tree: Mapping[int, int], number: Mapping[int, int]) -> int:
    while first != second:
        while number[first] < number[second]:
            first = tree[first]
        while number[second] < number[first]:
            second = tree[second]
    return first


def _postorder(root: int, edges: Mapping[int, Iterable[int]]) -> List[int]:
    order: List[int] = []
    seen = {root}
    stack = [(root, iter(edges.get(root, ())))]
    while stack:
        node, targets = stack[-1]
        for target in targets:
            if target not in seen:
                seen.add(target)
                stack.append((target, iter(edges.get(target, ()))))
                break
        else:
            order.append(node)
            stack.pop()
    return order

"""Making a recorded graph of tensor operations smaller without changing what it computes."""

from operator import getitem
from typing import Any

import torch
from torch.fx import GraphModule, Node

__all__ = ["tidy"]

aten = torch.ops.aten
IDENTITIES = {aten.detach.default, aten.alias.default, aten.lift_fresh_copy.default}
"""Operations that matter only to autograd, or to Python."""
LIKE = {
    aten.new_zeros.default, aten.zeros_like.default, aten.ones_like.default, aten.full_like.default,
}  # fmt: skip
"""Operations that read only the shape of what they are given."""
NEUTRAL: dict[Any, int] = {
    aten.pow.Tensor_Scalar: 1,
    aten.mul.Tensor: 1,
    aten.mul.Scalar: 1,
    aten.div.Tensor: 1,
    aten.div.Scalar: 1,
    aten.add.Tensor: 0,
    aten.sub.Tensor: 0,
}
"""Second arguments with which these operations change nothing."""
SHAPING = {aten.view.default, aten.expand.default, aten._unsafe_view.default}
SMALL = 4096
"""Largest number of values of a blank constant that is kept."""


def tidy(module: GraphModule) -> GraphModule:
    """Leave out what is unused, trivial, constant or computed twice; in place."""
    graph = module.graph
    for node in list(graph.nodes):
        same = unchanged(node)
        if same is not None:
            node.replace_all_uses_with(same)
            graph.erase_node(node)
    graph.eliminate_dead_code()
    merge_equals(module)  # first: what is computed twice of the data would be kept twice
    fold_constants(module)
    graph.eliminate_dead_code()
    graph.lint()
    module.recompile()
    return module


def unchanged(node: Node) -> Node | None:
    """The first argument of an operation that returns it as it is; None of one that does not."""
    first = node.args[0] if node.args else None
    if node.op != "call_function" or not isinstance(first, Node):
        return None
    before, after = first.meta.get("val"), node.meta.get("val")
    if not isinstance(before, torch.Tensor) or not isinstance(after, torch.Tensor):
        return None
    # views further on rely on the strides
    if (before.dtype, before.shape, before.stride()) != (after.dtype, after.shape, after.stride()):
        return None
    if node.target in IDENTITIES or node.target in SHAPING:
        return first
    other: Any = node.args[1] if len(node.args) > 1 else None
    if node.target is aten.sum.dim_IntList:
        return first if all(before.shape[each] == 1 for each in other) else None
    neutral = node.target in NEUTRAL and isinstance(other, int | float) and not node.kwargs
    return first if neutral and other == NEUTRAL[node.target] else None


def fold_constants(module: GraphModule) -> None:
    """Compute beforehand what depends on no input, but on data that the step is bound to."""
    known: dict[Node, Any] = {}
    for node in list(module.graph.nodes):
        if node.op == "get_attr":
            known[node] = getattr(module, str(node.target))
            continue
        if node.op != "call_function" or not is_pure(node) or written_to(node):
            continue
        inputs = {each: known[each] for each in node.all_input_nodes if each in known}
        if node.target in LIKE and node.meta["val"].numel() <= SMALL:
            like = node.all_input_nodes[0].meta["val"]
            inputs[node.all_input_nodes[0]] = torch.empty_strided(
                like.shape, like.stride(), dtype=like.dtype, device=like.device
            )
        if len(inputs) < len(node.all_input_nodes):
            continue
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), inputs.__getitem__)
        operation: Any = node.target
        with torch.no_grad():
            known[node] = operation(*args, **kwargs)
    for number, (node, value) in enumerate(known.items()):
        used = not all(user in known for user in node.users)
        if node.op == "get_attr" or not used or not isinstance(value, torch.Tensor):
            continue
        name = f"constant_{number}"
        module.register_buffer(name, value, persistent=False)
        with module.graph.inserting_before(node):
            constant = module.graph.get_attr(name)
        constant.meta = dict(node.meta)
        node.replace_all_uses_with(constant)
        module.graph.erase_node(node)


def merge_equals(module: GraphModule) -> None:
    """Compute equal expressions once."""
    seen: dict[Any, Node] = {}
    for node in list(module.graph.nodes):
        if node.op == "get_attr":
            key: Any = ("get_attr", node.target)
        elif node.op == "call_function" and is_pure(node) and not written_to(node):
            key = (node.target, repr(node.args), repr(sorted(node.kwargs.items())))
        else:
            continue
        if key in seen:
            node.replace_all_uses_with(seen[key])
            module.graph.erase_node(node)
        else:
            seen[key] = node


def written_to(node: Node) -> bool:
    """Whether a later operation changes the result in place, or a view of it."""
    for user in node.users:
        schema = getattr(user.target, "_schema", None)
        if schema is None:
            continue
        view = any(result.alias_info is not None for result in schema.returns)
        if schema.is_mutable or (view and written_to(user)):
            return True
    return False


def is_pure(node: Node) -> bool:
    """Whether an operation gives the same result each time and changes nothing."""
    operation: Any = node.target
    if operation is getitem:
        return True
    schema = getattr(operation, "_schema", None)
    if schema is None or schema.is_mutable:
        return False
    return torch.Tag.nondeterministic_seeded not in operation.tags

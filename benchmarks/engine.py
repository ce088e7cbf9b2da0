"""What a step of variational inference costs: this engine, Pyro, NumPyro and bare matrix products.

    python benchmarks/engine.py                      # the table; NumPyro's rows need numpyro
    python benchmarks/engine.py --models additive --inductor

All methods take the same kind of step: one draw from a mean-field normal guide, the gradient of the
ELBO, Adam. They run in one process and one thread, in blocks one after the other, round after
round, so that whatever disturbs the machine disturbs all; the time is the CPU time of the process,
the number the median over rounds. Models: additive (N = 1000, L = 500, T = 20), generative (the
same, K = 8, H = 32), recurrent (N = 200, L = 40, K = 40, 20 steps of relaxation, T = 20).
"""

import itertools
import time
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pyro
import torch
import typer
from pyro.infer import SVI, JitTrace_ELBO, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.poutine.messenger import Messenger
from torch import Tensor

from genomic_code.inference.engine import State, capture, make_step, run
from genomic_code.inference.flat import FlatModel
from genomic_code.inference.guides import MeanField
from genomic_code.spec.formalizations import Attractor, Blueprint, Generative
from genomic_code.spec.priors import Dense
from genomic_code.spec.protocols import Data, Formalization, Shape

Block = Callable[[int], object]
"""Takes so many steps."""

MODELS: dict[str, tuple[Formalization, Shape]] = {
    "additive": (Blueprint(prior={"effects": Dense(0.05)}), Shape(1000, 500, 0, 20)),
    "generative": (Generative(latents=8, hidden=32), Shape(1000, 500, 0, 20)),
    "recurrent": (Attractor(latents=40), Shape(200, 40, 0, 20)),
    "minibatch": (Blueprint(prior={"effects": Dense(0.05)}), Shape(20_480, 1000, 0, 20)),
}
BATCH = 1024
RATE = 0.01


def cohort(shape: Shape) -> Data:
    """Random data: what a step costs does not depend on them."""
    generator = torch.Generator().manual_seed(0)
    genotype = torch.randn(shape.individuals, shape.loci, generator=generator)
    phenotype = torch.randn(shape.individuals, shape.traits, generator=generator)
    return Data(
        genotype,
        torch.zeros(shape.individuals, 0),
        phenotype,
        torch.ones_like(phenotype, dtype=torch.bool),
        torch.zeros_like(phenotype),
    )


class LikelihoodScale(Messenger):
    """Multiplies the log-likelihood, for batches."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] == "phenotype":
            msg["scale"] = msg["scale"] * self.factor


def batches(data: Data) -> list[Data]:
    """Contiguous blocks of individuals; one of all where they are few."""
    if len(data.genotype) <= BATCH:
        return [data]
    return [Data(*parts) for parts in zip(*(table.split(BATCH) for table in data), strict=True)]


def ours(
    model: Formalization, data: Data, backend: str, restarts: int = 1, pairs: int = 0
) -> Block:
    """This engine."""
    parts = batches(data)
    shape = parts[0].shape
    flat, guide = FlatModel(model, shape), MeanField()
    state = State.start(guide.start(0.05 * torch.randn(1, restarts, flat.dim)))
    noise = torch.randn(2 * pairs or 1, 1, restarts, flat.dim)
    blocks = [Data(*(table[None, None] for table in part)) for part in parts]
    plain = make_step(flat, guide, len(parts))
    generator = torch.Generator().manual_seed(0)
    if len(blocks) == 1:
        whole = capture(
            lambda parameters, noise: plain(parameters, noise, *blocks[0]),
            (state.parameters, noise),
            backend,
        )
        return lambda steps: run(whole, state, steps, RATE, pairs, flat.dim, generator)
    step = capture(plain, (state.parameters, noise, *blocks[0]), backend)
    order = itertools.cycle(blocks)

    def bound(parameters: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return step(parameters, noise, *next(order))

    return lambda steps: run(bound, state, steps, RATE, pairs, flat.dim, generator)


def plain_pyro(model: Formalization, data: Data, objective: Any) -> Block:
    """Pyro as its tutorials use it."""
    pyro.clear_param_store()
    parts = batches(data)

    def conditioned(*tables: Tensor) -> Tensor:
        with LikelihoodScale(len(parts)):
            return model(Data(*tables))

    guide = AutoNormal(conditioned, init_scale=0.05)
    svi = SVI(conditioned, guide, pyro.optim.Adam({"lr": RATE}), objective)

    def block(steps: int) -> None:
        for i in range(steps):
            svi.step(*parts[i % len(parts)])

    return block


def numpyro_scan(kind: str, model: Any, data: Data, restarts: int = 1) -> Block:
    """NumPyro's SVI within `lax.scan`, 50 steps a call; restarts by `vmap`."""
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer.autoguide import AutoNormal as Guide

    batch = min(BATCH, len(data.genotype)) if kind == "minibatch" else len(data.genotype)
    count = len(data.genotype) // batch
    x, y = (jnp.asarray(table.numpy()) for table in (data.genotype, data.phenotype))
    loci, traits = x.shape[1], y.shape[1]

    def normal(name: str, *shape: int) -> Any:
        return numpyro.sample(name, dist.Normal(0.0, 1.0).expand(shape).to_event(len(shape)))

    def program(genotype: Any, phenotype: Any) -> None:
        mean = normal("mean", traits)
        if kind in ("additive", "minibatch"):
            genetic = genotype @ (0.05 * normal("effects", loci, traits))
        else:
            scale = numpyro.sample("trait_scale", dist.HalfNormal(0.8).expand([traits]).to_event(1))
            latents = model.latents
            driven = genotype @ (normal("encoder", loci, latents) / np.sqrt(loci))
            if kind == "generative":
                weight = normal("hidden_weight", latents, model.hidden) * 2.5 / np.sqrt(latents)
                bias = normal("hidden_bias", model.hidden)
                decoder = normal("decoder", model.hidden, traits)
                hidden = jnp.tanh(driven @ weight + bias)
                genetic = hidden @ (decoder * scale * np.sqrt(2 / model.hidden))
            else:
                raw = normal("recurrent", latents, latents)
                excitation = numpyro.sample(
                    "self_excitation", dist.Normal(1.5, 0.5).expand([latents]).to_event(1)
                )
                recurrent = (raw + raw.T) * 0.6 / np.sqrt(latents) + jnp.diag(excitation)
                driven = driven + 0.3 * normal("bias", latents)
                state = jnp.zeros_like(driven)
                for _ in range(model.iterations):
                    state = state + model.step * (jnp.tanh(state @ recurrent + driven) - state)
                genetic = state @ (normal("decoder", latents, traits) * scale / np.sqrt(latents))
        noise = numpyro.sample(
            "noise_scale", dist.LogNormal(-0.5, 0.5).expand([traits]).to_event(1)
        )
        with numpyro.handlers.scale(scale=count), numpyro.plate("individuals", batch):
            numpyro.sample(
                "phenotype", dist.Normal(mean + genetic, noise).to_event(1), obs=phenotype
            )

    svi = numpyro.infer.SVI(
        program, Guide(program, init_scale=0.05), numpyro.optim.Adam(RATE),
        numpyro.infer.Trace_ELBO(),
    )  # fmt: skip

    def take(start: Any) -> tuple[Any, Any]:
        return tuple(jax.lax.dynamic_slice_in_dim(table, start * batch, batch) for table in (x, y))

    def once(state: Any, i: Any) -> tuple[Any, Any]:
        return svi.update(state, *take(i % count))

    def scanned(state: Any) -> Any:
        return jax.lax.scan(once, state, jnp.arange(50))[0]

    keys = jax.random.split(jax.random.PRNGKey(0), restarts)
    begin = jax.jit(lambda key: svi.init(key, *take(0)))
    many = [begin(key) for key in keys]
    if restarts == 1:
        state, go = many[0], jax.jit(scanned)
    else:
        state = jax.tree_util.tree_map(lambda *leaves: jnp.stack(leaves), *many)
        go = jax.jit(jax.vmap(scanned))
    held = [jax.block_until_ready(go(state))]

    def block(steps: int) -> None:
        for _ in range(max(1, steps // 50)):
            held[0] = go(held[0])
        jax.block_until_ready(held[0])

    return block


def floor(kind: str, model: Any, data: Data, restarts: int = 1) -> Block:
    """Matrix products by hand, forward and backward, a draw of noise, fused Adam: no inference."""
    parts = batches(data)
    dim = FlatModel(model, parts[0].shape).dim
    state = State.start(torch.zeros(1, restarts, 2 * dim))
    slope = torch.randn(1, restarts, 2 * dim)
    loci, traits = data.genotype.shape[1], data.observed.shape[1]
    width = restarts * (traits if kind in ("additive", "minibatch") else model.latents)
    first = torch.randn(width, loci)

    def network(driven: Tensor) -> Tensor:
        inner = driven.reshape(len(driven), restarts, -1).movedim(1, 0)
        if kind == "generative":
            weight = torch.randn(restarts, model.latents, model.hidden)
            decoder = torch.randn(restarts, model.hidden, traits)
            hidden = torch.tanh(inner @ weight)
            back = hidden @ decoder
            inward = back @ decoder.mT
            hidden.mT @ back, inner.mT @ inward
            return (inward @ weight.mT).movedim(0, 1).reshape(driven.shape)
        weight = torch.randn(restarts, model.latents, model.latents)
        decoder = torch.randn(restarts, model.latents, traits)
        states = [torch.zeros_like(inner)]
        for _ in range(model.iterations):
            states.append(torch.tanh(states[-1] @ weight + inner))
        back = states[-1] @ decoder
        inward = back @ decoder.mT
        states[-1].mT @ back
        for each in states[-2::-1]:
            each.mT @ inward
            inward = inward @ weight.mT
        return inward.movedim(0, 1).reshape(driven.shape)

    def block(steps: int) -> None:
        with torch.no_grad():
            for i in range(steps):
                x = parts[i % len(parts)].genotype
                driven = (first @ x.mT).mT
                (driven if kind in ("additive", "minibatch") else network(driven)).mT @ x
                torch.randn(restarts, dim)
                torch._fused_adam_(
                    [state.parameters], [slope], [state.mean], [state.square], [], [state.taken],
                    lr=RATE, beta1=0.9, beta2=0.99, weight_decay=0.0, eps=1e-8, amsgrad=False,
                    maximize=False,
                )  # fmt: skip

    return block


def methods(kind: str, restarts: int, inductor: bool) -> dict[str, Callable[[], Block]]:
    """What is timed for a model."""
    model, shape = MODELS[kind]
    data = cohort(shape)
    chosen: dict[str, Callable[[], Block]] = {
        "floor": lambda: floor(kind, model, data),
        "traced": lambda: ours(model, data, "traced"),
    }
    if inductor:
        chosen["inductor"] = lambda: ours(model, data, "inductor")
    chosen |= {
        "numpyro scan": lambda: numpyro_scan(kind, model, data),
        "pyro": lambda: plain_pyro(model, data, Trace_ELBO()),
        "pyro jit": lambda: plain_pyro(model, data, JitTrace_ELBO(ignore_jit_warnings=True)),
    }
    if kind != "minibatch":
        chosen |= {
            f"floor R={restarts}": lambda: floor(kind, model, data, restarts),
            f"traced R={restarts}": lambda: ours(model, data, "traced", restarts),
            f"numpyro scan R={restarts}": lambda: numpyro_scan(kind, model, data, restarts),
        }
        if inductor:
            chosen[f"inductor R={restarts}"] = lambda: ours(model, data, "inductor", restarts)
        chosen["traced, antithetic pair"] = lambda: ours(model, data, "traced", 1, 1)
    return chosen


def prepared(makers: dict[str, Callable[[], Block]]) -> dict[str, tuple[Block, float]]:
    """Blocks that have run once, and the seconds that took; a line for each that cannot."""
    found = {}
    for name, make in makers.items():
        began = time.perf_counter()
        try:
            block = make()
            block(10)
        except ImportError as cause:
            typer.echo(f"{name}: skipped, {cause}")
            continue
        found[name] = block, time.perf_counter() - began
    return found


def main(
    models: Annotated[str, typer.Option(help="Names, separated by commas.")] = ",".join(MODELS),
    rounds: Annotated[int, typer.Option(help="Blocks of each method.")] = 7,
    seconds: Annotated[float, typer.Option(help="CPU seconds of a block.")] = 0.25,
    restarts: Annotated[int, typer.Option(help="Restarts in one batch.")] = 8,
    inductor: Annotated[bool, typer.Option(help="Compile too: minutes, the first time.")] = False,
) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    typer.echo("| model | method | us a step and restart | x floor | x NumPyro | first call, s |")
    typer.echo("|---|---|---|---|---|---|")
    for kind in models.split(","):
        blocks = prepared(methods(kind, restarts, inductor))
        steps, times = {}, {name: [] for name in blocks}  # type: ignore[var-annotated]
        for name, (block, _) in blocks.items():
            began = time.process_time()
            block(50)
            each = (time.process_time() - began) / 50
            steps[name] = 50 * max(1, round(seconds / each / 50))
        for _ in range(rounds):
            for name, (block, _) in blocks.items():
                began = time.process_time()
                block(steps[name])
                times[name].append((time.process_time() - began) / steps[name])
        cost = {
            name: 1e6 * float(np.median(each)) / (restarts if "R=" in name else 1)
            for name, each in times.items()
        }
        peer = cost.get("numpyro scan", float("nan"))
        for name, value in cost.items():
            ratio, rival = value / cost["floor"], value / peer
            setup = blocks[name][1]
            typer.echo(
                f"| {kind} | {name} | {value:.0f} | {ratio:.2f} | {rival:.2f} | {setup:.1f} |"
            )


if __name__ == "__main__":
    typer.run(main)

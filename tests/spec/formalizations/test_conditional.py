"""Conditional: `generative` when nothing in the environment matters, interaction when it does."""

import pytest
import torch

from genomic_code.spec.formalizations import Conditional, Generative
from genomic_code.spec.priors import Dense
from genomic_code.spec.protocols import Shape

pytestmark = pytest.mark.usefixtures("double_precision")


def test_zero_environment_weights_are_generative(small_data, prior_sites, log_joint):
    data, model, generative = small_data(), Conditional(), Generative()
    values, _ = prior_sites(model, data, 5)
    shared, _ = prior_sites(generative, data, 5)
    relevance = "environment_hidden_relevance"
    assert values.keys() - shared.keys() == {"environment_hidden", relevance}
    values[relevance] = torch.zeros_like(values[relevance])
    common = {name: values[name] for name in shared}
    extra = log_joint(model, data, values) - log_joint(generative, data, common)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(values["environment_hidden"])
    half_normal_at_zero = torch.distributions.HalfNormal(1.0).log_prob(torch.zeros(2))
    expected = normal.sum((-1, -2)) + half_normal_at_zero.sum()
    torch.testing.assert_close(extra, expected, rtol=1e-12, atol=1e-12)


def test_zero_environment_weights_develop_as_generative(small_data):
    data, model = small_data(), Conditional()
    torch.manual_seed(0)
    weights = model.weights(data.shape)
    still = torch.zeros_like(weights["environment_hidden"])
    torch.testing.assert_close(
        model.develop({**weights, "environment_hidden": still}, data.genotype, data.environment),
        Generative().develop(weights, data.genotype, data.environment),
        rtol=0,
        atol=1e-14,
    )


def interaction(model, weights, data):
    """What genotype and environment do together beyond the sum of what each does."""
    x, e = data.genotype, data.environment

    def develop(genotype, environment):
        return model.develop(weights, genotype, environment)

    return develop(x, e) - develop(0 * x, e) - develop(x, 0 * e) + develop(0 * x, 0 * e)


def test_genotype_and_environment_interact_and_in_generative_do_not(small_data):
    data, model = small_data(), Conditional()
    torch.manual_seed(0)
    weights = model.weights(data.shape)
    assert interaction(model, weights, data).abs().max() > 0.1
    assert interaction(Generative(), weights, data).abs().max() < 1e-14


def test_without_environment_it_refuses():
    with pytest.raises(ValueError, match="needs at least 1 environment covariate"):
        Conditional().weights(Shape(9, 5, 0, 3))


def test_priors_reach_their_weights(small_data, prior_sites):
    data = small_data()
    model = Conditional(prior={"environment_hidden": Dense(), "hidden_weight": Dense(0.5)})
    values, _ = prior_sites(model, data, 1)
    assert "environment_hidden_relevance" not in values
    with pytest.raises(ValueError, match="curve"):
        Conditional(prior={"curve": Dense()})


@pytest.mark.parametrize("field", ["latents", "hidden"])
def test_counts_are_checked(field):
    with pytest.raises(ValueError, match=f"{field} must be an integer of at least 1, got 0"):
        Conditional(**{field: 0})

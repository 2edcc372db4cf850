"""Whole programs with distributions, under both libraries: the same seed, the same numbers."""

from __future__ import annotations

import pytest

from parity_tests.twin import twin


def policy_of(torch):
    nn = torch.nn
    return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)).double()


@twin
def test_reinforce_with_a_categorical_policy(torch, rng):
    torch.manual_seed(0)
    policy = policy_of(torch)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    rewards, states = rng(3, dtype="float64"), rng(32, 4, dtype="float64")
    seen = []
    for _ in range(8):
        choice = torch.distributions.Categorical(logits=policy(states))
        actions = choice.sample()
        gained = rewards[actions] * states[:, 0]
        loss = -(choice.log_prob(actions) * (gained - gained.mean())).mean() - 0.01 * choice.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append((actions, loss.item()))
    return seen, list(policy.parameters())


@twin
def test_reinforce_with_a_normal_policy(torch, rng):
    torch.manual_seed(1)
    mean, log_std = torch.nn.Linear(3, 2).double(), torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimizer = torch.optim.SGD([*mean.parameters(), log_std], lr=0.05)
    states, target = rng(64, 3, dtype="float64"), rng(64, 2, dtype="float64")
    losses = []
    for _ in range(10):
        policy = torch.distributions.Independent(torch.distributions.Normal(mean(states), log_std.exp()), 1)
        action = policy.sample()
        reward = -(action - target).square().sum(-1)
        loss = -(policy.log_prob(action) * (reward - reward.mean())).mean()
        losses.append(descend(optimizer, loss))
    return losses, log_std, mean.weight


@pytest.mark.parametrize("continuous", [False, True])
@twin
def test_steps_of_ppo(torch, rng, continuous):
    torch.manual_seed(2)
    D, nn = torch.distributions, torch.nn
    actor, critic = policy_of(torch), nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1)).double()
    log_std = nn.Parameter(torch.full((3,), -0.5, dtype=torch.float64))
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters(), log_std], lr=3e-3)
    states, returns = rng(48, 4, dtype="float64"), rng(48, dtype="float64")

    def policy(states):
        return D.Independent(D.Normal(actor(states), log_std.exp()), 1) if continuous else D.Categorical(logits=actor(states))

    with torch.no_grad():
        actions = policy(states).sample()
        before = policy(states).log_prob(actions)
        advantages = returns - critic(states).squeeze(-1)
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    losses = []
    for _ in range(3):
        for batch in torch.randperm(48).split(16):
            now = policy(states[batch])
            ratio = (now.log_prob(actions[batch]) - before[batch]).exp()
            gain = torch.min(ratio * advantages[batch], ratio.clamp(0.8, 1.2) * advantages[batch]).mean()
            error = (returns[batch] - critic(states[batch]).squeeze(-1)).square().mean()
            loss = -gain + 0.5 * error - 0.01 * now.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(actor.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.item())
    return actions, losses, log_std


@pytest.mark.parametrize("likelihood", ["Bernoulli", "ContinuousBernoulli", "Normal"])
@twin
def test_a_variational_autoencoder(torch, rng, likelihood):
    torch.manual_seed(3)
    D, nn = torch.distributions, torch.nn
    encoder, decoder = nn.Linear(12, 4).double(), nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 12)).double()
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
    images = rng(20, 12, dtype="float64").sigmoid()
    if likelihood == "Bernoulli":
        images = images.round()
    prior = D.Normal(torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
    losses = []
    for _ in range(10):
        loc, log_scale = encoder(images).chunk(2, -1)
        posterior = D.Normal(loc, log_scale.exp())
        out = decoder(posterior.rsample())
        seen = D.Normal(out, 0.5) if likelihood == "Normal" else getattr(D, likelihood)(logits=out)
        loss = -(seen.log_prob(images).sum(-1) - D.kl_divergence(posterior, prior).sum(-1)).mean()
        losses.append(descend(optimizer, loss))
    return losses, decoder(prior.sample((3,)))


@twin
def test_a_normalizing_flow(torch, rng):
    torch.manual_seed(4)
    D, nn = torch.distributions, torch.nn

    class Coupling(D.Transform):
        """The second half, scaled and shifted by the output of a network for the first."""

        domain = codomain = D.constraints.real_vector
        bijective = True

        def __init__(self, network):
            super().__init__(cache_size=1)
            self.network = network

        def parts(self, x):
            first, second = x.chunk(2, -1)
            scale, shift = self.network(first).chunk(2, -1)
            return first, second, scale.tanh(), shift

        def _call(self, x):
            first, second, scale, shift = self.parts(x)
            return torch.cat([second * scale.exp() + shift, first], -1)

        def _inverse(self, y):
            second, first = y.chunk(2, -1)
            scale, shift = self.network(first).chunk(2, -1)
            return torch.cat([first, (second - shift) * (-scale.tanh()).exp()], -1)

        def log_abs_det_jacobian(self, x, y):
            return self.parts(x)[2].sum(-1)

    networks = nn.ModuleList([nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 2)).double() for _ in range(4)])
    base = D.Independent(D.Normal(torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)), 1)
    optimizer = torch.optim.Adam(networks.parameters(), lr=5e-3)
    data = rng(60, 2, dtype="float64")
    data = torch.stack([data[:, 0], data[:, 0] ** 2 + 0.3 * data[:, 1]], -1)
    losses = []
    for _ in range(15):
        flow = D.TransformedDistribution(base, [Coupling(network) for network in networks])
        loss = -flow.log_prob(data).mean()
        losses.append(descend(optimizer, loss))
    drawn = flow.rsample((5,))
    return losses, drawn, flow.log_prob(drawn)


def descend(optimizer, loss):
    """One step of gradient descent; returns the loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@twin
def test_a_mixture_fitted_by_gradient(torch, rng):
    torch.manual_seed(5)
    D = torch.distributions
    truth = D.MixtureSameFamily(
        D.Categorical(torch.tensor([0.3, 0.7]).double()), D.Normal(torch.tensor([-2.0, 1.0]).double(), 0.5)
    )
    data = truth.sample((100,))
    logits, loc, log_scale = (torch.nn.Parameter(rng(2, dtype="float64")) for _ in range(3))
    optimizer = torch.optim.Adam([logits, loc, log_scale], lr=0.05)
    losses = []
    for _ in range(30):
        mixture = D.MixtureSameFamily(D.Categorical(logits=logits), D.Normal(loc, log_scale.exp()))
        loss = -mixture.log_prob(data).mean()
        losses.append(descend(optimizer, loss))
    return data, losses, logits, loc, log_scale


@twin
def test_a_mixture_of_normal_vectors(torch, rng):
    torch.manual_seed(6)
    D = torch.distributions
    data = torch.cat([rng(30, 2, dtype="float64") + 2, rng(30, 2, dtype="float64") @ rng(2, 2, dtype="float64")])
    logits, loc, raw = (torch.nn.Parameter(rng(*shape, dtype="float64")) for shape in ((2,), (2, 2), (2, 2, 2)))
    optimizer = torch.optim.LBFGS([logits, loc, raw], max_iter=5)
    to_factor = D.transform_to(D.constraints.lower_cholesky)

    def loss():
        optimizer.zero_grad()
        parts = D.MultivariateNormal(loc, scale_tril=to_factor(raw))
        value = -D.MixtureSameFamily(D.Categorical(logits=logits), parts).log_prob(data).mean()
        value.backward()
        return value

    return [optimizer.step(loss).item() for _ in range(4)], loc, to_factor(raw)


@twin
def test_bayesian_regression_by_variational_inference(torch, rng):
    torch.manual_seed(7)
    D, constraints = torch.distributions, torch.distributions.constraints
    x = rng(40, 3, dtype="float64")
    y = x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) + 0.3 * rng(40, dtype="float64")
    loc, raw = torch.zeros(3, dtype=torch.float64, requires_grad=True), torch.zeros(3, dtype=torch.float64, requires_grad=True)
    shape, rate = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(2))
    positive = D.transform_to(constraints.positive)
    optimizer = torch.optim.Adam([loc, raw, shape, rate], lr=0.05)
    prior = D.Normal(torch.zeros(3, dtype=torch.float64), 3.0)
    bounds = []
    for _ in range(25):
        weights, noise = D.Normal(loc, positive(raw)), D.Gamma(positive(shape), positive(rate))
        w, precision = weights.rsample(), noise.rsample()
        likelihood = D.Normal(x @ w, precision.rsqrt()).log_prob(y).sum()
        divergence = D.kl_divergence(weights, prior).sum() + D.kl_divergence(noise, D.Gamma(precision.new_tensor(2.0), 1.0))
        bounds.append(descend(optimizer, divergence - likelihood))
    return bounds, loc, raw, shape, rate


@twin
def test_bayesian_regression_by_hamiltonian_steps(torch, rng):
    torch.manual_seed(8)
    D = torch.distributions
    x = rng(30, 2, dtype="float64")
    y = (x @ torch.tensor([1.0, -1.0], dtype=torch.float64) > 0).double()

    def energy(w):
        return -(D.Normal(0.0, 2.0).log_prob(w).sum() + D.Bernoulli(logits=x @ w).log_prob(y).sum())

    def slope(w):
        w = w.detach().requires_grad_()
        return torch.autograd.grad(energy(w), w)[0]

    w, chain = torch.zeros(2, dtype=torch.float64), []
    for _ in range(12):
        p = D.Normal(torch.zeros_like(w), 1.0).sample()
        start, new = energy(w) + p.square().sum() / 2, w
        p = p - 0.05 * slope(new)
        for _ in range(5):
            new = new + 0.1 * p
            p = p - 0.1 * slope(new)
        p = p + 0.05 * slope(new)
        if torch.rand((), dtype=torch.float64) < (start - energy(new) - p.square().sum() / 2).exp():
            w = new
        chain.append(w)
    return torch.stack(chain)


@twin
def test_topics_by_dirichlet_gradients(torch, rng):
    torch.manual_seed(9)
    D = torch.distributions
    counts = D.Multinomial(30, torch.softmax(rng(10, 5, dtype="float64"), -1)).sample()
    raw = torch.zeros(10, 5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.1)
    bounds = []
    for _ in range(10):
        posterior = D.Dirichlet(raw.exp() + 0.1)
        likelihood = D.Multinomial(30, posterior.rsample(), validate_args=False).log_prob(counts)
        loss = (D.kl_divergence(posterior, D.Dirichlet(torch.ones(5, dtype=torch.float64))) - likelihood).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        bounds.append(loss.item())
    return counts, bounds, raw


@twin
def test_relaxed_choices_that_cool_down(torch, rng):
    torch.manual_seed(10)
    D = torch.distributions
    logits = torch.zeros(6, 4, dtype=torch.float64, requires_grad=True)
    value = rng(4, dtype="float64")
    optimizer = torch.optim.SGD([logits], lr=0.5)
    seen = []
    for step in range(8):
        temperature = torch.tensor(1.0 / (1 + step), dtype=torch.float64)
        soft = D.RelaxedOneHotCategorical(temperature, logits=logits).rsample()
        hard = D.OneHotCategoricalStraightThrough(logits=logits).rsample()
        loss = -((soft + hard) @ value).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    return seen, logits


@twin
def test_importance_weights_of_heavy_tails(torch, rng):
    torch.manual_seed(11)
    D = torch.distributions
    proposal, target = D.StudentT(3.0, 0.0, 2.0), D.Normal(1.0, 0.5)
    x = proposal.sample((500,))
    weights = torch.softmax(target.log_prob(x) - proposal.log_prob(x), 0)
    again = x[D.Categorical(weights).sample((20,))]
    return x, (weights * x).sum(), again

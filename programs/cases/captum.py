"""captum: attribution of a network's predictions."""

import torch
from captum.attr import (
    DeepLift,
    FeatureAblation,
    GradientShap,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    LayerActivation,
    LayerConductance,
    LayerGradCam,
    NoiseTunnel,
    Occlusion,
    Saliency,
    ShapleyValueSampling,
)

from programs.case import CASES, Case


def net():
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(27, 4),
        torch.nn.ReLU(),
        torch.nn.Linear(4, 2),
    )


def attribution(name, call):
    def run():
        made = net()
        return {"result": call(made, torch.randn(2, 1, 8, 8))}

    CASES[name] = Case(run)


attribution("saliency", lambda f, x: Saliency(f).attribute(x, target=1))
attribution("integrated_gradients", lambda f, x: IntegratedGradients(f).attribute(x, target=1, return_convergence_delta=True))
attribution("input_x_gradient", lambda f, x: InputXGradient(f).attribute(x, target=0))
attribution("deep_lift", lambda f, x: DeepLift(torch.nn.Sequential(*f[:4], f[4], torch.nn.ReLU(), f[6])).attribute(x, target=1))
attribution(
    "guided_backprop", lambda f, x: GuidedBackprop(torch.nn.Sequential(*f[:5], torch.nn.ReLU(), f[6])).attribute(x, target=1)
)
attribution("gradient_shap", lambda f, x: GradientShap(f).attribute(x, baselines=torch.zeros(3, 1, 8, 8), target=1))
attribution("noise_tunnel", lambda f, x: NoiseTunnel(Saliency(f)).attribute(x, nt_samples=3, target=1))
attribution("feature_ablation", lambda f, x: FeatureAblation(f).attribute(x, target=1))
attribution("occlusion", lambda f, x: Occlusion(f).attribute(x, sliding_window_shapes=(1, 3, 3), target=1))
attribution(
    "shapley_values", lambda f, x: ShapleyValueSampling(f).attribute(x[:, :, :4, :4].repeat(1, 1, 2, 2), target=1, n_samples=2)
)
attribution("layer_activation", lambda f, x: LayerActivation(f, f[0]).attribute(x))
attribution("layer_conductance", lambda f, x: LayerConductance(f, f[4]).attribute(x, target=1))
attribution("grad_cam", lambda f, x: LayerGradCam(f, f[0]).attribute(x, target=1))

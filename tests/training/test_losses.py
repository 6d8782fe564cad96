import numpy as np
import torch
from diffusers import DDPMScheduler
from inhabit.models.config import ScheduleConfig
from inhabit.sampling.schedules import alphas_cumprod, betas
from inhabit.training import losses
from inhabit.training.recipe import LossRecipe, TimestepRecipe
from inhabit.training.stages import draw_timesteps


def _schedule():
    config = ScheduleConfig()
    reference = DDPMScheduler(trained_betas=betas(config).tolist(), prediction_type="v_prediction")
    return alphas_cumprod(config).float(), reference


def test_noise_and_velocity_against_diffusers():
    alphas, reference = _schedule()
    rng = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(3, 2, 4, 5, 6, generator=rng) for _ in range(2))
    timesteps = torch.tensor([0, 500, 999])
    noisy = losses.add_noise(clean, noise, alphas, timesteps)
    torch.testing.assert_close(noisy, reference.add_noise(clean, noise, timesteps), atol=1e-4, rtol=0)
    velocity = losses.diffusion_target(clean, noise, alphas, timesteps, "v")
    torch.testing.assert_close(velocity, reference.get_velocity(clean, noise, timesteps), atol=1e-4, rtol=0)
    torch.testing.assert_close(noisy[2], noise[2])  # zero terminal SNR: the last timestep shows nothing of the clip
    torch.testing.assert_close(velocity[2], -clean[2])
    assert losses.diffusion_target(clean, noise, alphas, timesteps, "epsilon") is noise


def test_loss_against_a_closed_form():
    predicted, target = torch.full((2, 1, 4, 2, 2), 3.0), torch.full((2, 1, 4, 2, 2), 1.0)
    weights = torch.tensor([[2.0, 1.0], [1.0, 0.0]]).expand(2, 1, 1, 2, 2)
    by_snr = torch.tensor([0.5, 1.5])
    # every squared error is 4; mean region weight 1; mean SNR weight 1
    assert losses.diffusion_loss(predicted, target, weights, None).item() == 4.0
    assert losses.diffusion_loss(predicted, target, weights, by_snr).item() == 4.0
    predicted[1] = 1.0
    assert losses.diffusion_loss(predicted, target, weights, by_snr).item() == 4.0 * 0.5 / 2
    assert losses.diffusion_loss(predicted.bfloat16(), target, weights, None).dtype == torch.float32


def test_min_snr_weights():
    snr = torch.tensor([0.0, 1.0, 5.0, 20.0])
    torch.testing.assert_close(losses.snr_weights(snr, "v", 5.0), torch.tensor([0.0, 0.5, 5 / 6, 5 / 21]))
    torch.testing.assert_close(losses.snr_weights(snr, "epsilon", 5.0), torch.tensor([1.0, 1.0, 1.0, 0.25]))
    alphas = torch.tensor([0.9, 0.5, 0.0])
    torch.testing.assert_close(losses.signal_to_noise(alphas, torch.tensor([0, 1, 2])), torch.tensor([9.0, 1.0, 0.0]))


def test_region_weights():
    character = torch.zeros(1, 1, 8, 8)
    character[..., :4] = 1
    hands = torch.zeros(1, 1, 8, 8)
    hands[..., :4, :4] = 1
    recipe = LossRecipe(character=3.0, hands=2.0)
    weights = losses.region_weights({"character": character, "hands": hands}, recipe, (2, 2))[0, 0, 0]
    expected = np.array([[6.0, 1.0], [3.0, 1.0]])
    np.testing.assert_allclose(weights.numpy(), expected / expected.mean(), rtol=1e-6)


def test_region_errors():
    target = torch.zeros(1, 2, 3, 2, 2)
    predicted = target.clone()
    predicted[..., 0] = 2.0  # left column wrong by 2
    character = torch.zeros(1, 2, 4, 4)
    character[..., :2] = 1
    errors = losses.region_errors(predicted, target, character)
    assert (errors["character"].item(), errors["outside"].item()) == (4.0, 0.0)
    as_frames = losses.region_errors(predicted.flatten(0, 1).unsqueeze(1), target.flatten(0, 1).unsqueeze(1), character)
    assert as_frames == errors


def test_timesteps_cover_the_range_and_bias_the_last():
    rng = torch.Generator().manual_seed(0)
    uniform = torch.cat([draw_timesteps(10, 1000, TimestepRecipe(), rng) for _ in range(300)])
    assert uniform.min() < 10 and uniform.max() > 990
    assert torch.histc(uniform.float(), 10, 0, 1000).tolist() == [300.0] * 10  # one from each tenth, every time
    biased = torch.cat([draw_timesteps(10, 1000, TimestepRecipe(last=0.4), rng) for _ in range(300)])
    assert abs((biased == 999).float().mean() - 0.4) < 0.03


def test_picture_loss():
    target = torch.zeros(1, 1, 2, 2)
    predicted = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    parts = losses.picture_loss(predicted, target)
    assert parts["pixels"].item() == 0.5
    assert parts["edges"].item() == 1.0  # horizontal differences 1, vertical ones 0

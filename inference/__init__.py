"""What is learnt: fits, comparisons, evolution and evolvability."""

from typing import TYPE_CHECKING

from genomic_code.lazy import lazy

if TYPE_CHECKING:
    from genomic_code.inference import functionals
    from genomic_code.inference.calibration import absolute_fit, coverage
    from genomic_code.inference.certificate import Certificate
    from genomic_code.inference.certify import certify
    from genomic_code.inference.compare import Comparison, compare
    from genomic_code.inference.correspondence import correspondence
    from genomic_code.inference.distortion import bits, plot_rate_distortion, rate_distortion
    from genomic_code.inference.ensemble import Ensemble, fit_ensemble
    from genomic_code.inference.evolvability import evolvability
    from genomic_code.inference.evolvability_calibrate import calibrate_evolvability
    from genomic_code.inference.evolvability_compare import compare_evolvability
    from genomic_code.inference.evolve import evolve
    from genomic_code.inference.fit import DivergenceError, Settings, fit
    from genomic_code.inference.functionals.hansen_houle import hansen_houle
    from genomic_code.inference.gaussian_process import GaussianProcess
    from genomic_code.inference.genome import AlleleGenome
    from genomic_code.inference.hotspots import Hotspots
    from genomic_code.inference.landscape import attractors, landscape
    from genomic_code.inference.lineage import Lineage
    from genomic_code.inference.network import NetworkEnsemble
    from genomic_code.inference.niche import Niche
    from genomic_code.inference.plane import active_plane
    from genomic_code.inference.plots import plot_differences, plot_elbo, plot_predictions
    from genomic_code.inference.plots_landscape import plot_landscape
    from genomic_code.inference.plots_map import plot_map
    from genomic_code.inference.plots_network import plot_network
    from genomic_code.inference.plots_profiles import plot_profiles
    from genomic_code.inference.plots_selection import plot_ellipses, plot_response
    from genomic_code.inference.plots_trust import plot_calibration, plot_confusion
    from genomic_code.inference.posterior import Fit
    from genomic_code.inference.schedule import Schedule
    from genomic_code.inference.stream import StreamFit, fit_stream
    from genomic_code.inference.trust import TrustReport, trust

__all__ = [
    "AlleleGenome",
    "Certificate",
    "Comparison",
    "DivergenceError",
    "Ensemble",
    "Fit",
    "GaussianProcess",
    "Hotspots",
    "Lineage",
    "NetworkEnsemble",
    "Niche",
    "Schedule",
    "Settings",
    "StreamFit",
    "TrustReport",
    "absolute_fit",
    "active_plane",
    "attractors",
    "bits",
    "calibrate_evolvability",
    "certify",
    "compare",
    "compare_evolvability",
    "correspondence",
    "coverage",
    "evolvability",
    "evolve",
    "fit",
    "fit_ensemble",
    "fit_stream",
    "functionals",
    "hansen_houle",
    "landscape",
    "plot_calibration",
    "plot_confusion",
    "plot_differences",
    "plot_elbo",
    "plot_ellipses",
    "plot_landscape",
    "plot_map",
    "plot_network",
    "plot_predictions",
    "plot_profiles",
    "plot_rate_distortion",
    "plot_response",
    "rate_distortion",
    "trust",
]

__getattr__, __dir__ = lazy(__name__)

"""How near the drawings' style is to the artist's, without a list of artists to choose from."""

from torch import Tensor

from cloak_eval.metrics.base import METRICS, Evidence, Metric
from cloak_eval.metrics.features import FEATURES

__all__ = ["StyleSimilarity"]


@METRICS.register(
    "style-similarity",
    summary="cosine of centred style features between each drawing and the mean of the artist's clean crops",
    reference="after Somepalli et al. 2024, arXiv 2404.01292 (CSD's use of a cosine), on offline features",
    higher_is_better=False,
    value_range=(-1.0, 1.0),
)
class StyleSimilarity(Metric):
    """Features are standardised with the references', then compared in direction."""

    backbone = FEATURES

    def samples(self, evidence: Evidence) -> Tensor:
        # Channels differ in size by orders; without scaling a few of them would decide everything.
        spread = evidence.reference_features.std(0).clamp_min(1e-3)
        outputs, references = evidence.output_features / spread, evidence.reference_features / spread
        centre = references.mean(0)
        nearness = (outputs * centre).sum(1) / (outputs.norm(dim=1) * centre.norm()).clamp_min(1e-9)
        result: Tensor = nearness.double()
        return result

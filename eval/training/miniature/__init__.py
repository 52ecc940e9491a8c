"""Training of the miniature: Stable Diffusion's architecture, small, from scratch."""

"""Functionals of the map f from genotype to traits, and of its Jacobian.

Raw weights and latents are not identified (rotation, sign, permutation); everything here is a
function of f alone, so its posterior means something.
"""

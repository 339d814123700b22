// SPDX-License-Identifier: Apache-2.0
/* Zipf sampler, see zipf.h. With h(x) = x^-skew and H an antiderivative of h, a uniform u in (H(1.5) - h(1), H(n +
 * 0.5)] is inverted to x = H^-1(u) and rounded to k; k is taken when u lies in the last h(k) of k's interval of H,
 * which has exactly the wanted mass. */
#include "simulator/source/zipf.h"

#include <math.h>

/* (exp(x) - 1) / x and log(1 + x) / x, with their limit 1 at 0: they make skew = 1 (a logarithm) an ordinary case. */
static double expm1_over(double x)
{
  return fabs(x) > 1e-8 ? expm1(x) / x : 1.0 + x / 2;
}

static double log1p_over(double x)
{
  return fabs(x) > 1e-8 ? log1p(x) / x : 1.0 - x / 2;
}

static double density(const struct emuv_zipf *z, double x)
{
  return exp(-z->skew * log(x));
}

static double area(const struct emuv_zipf *z, double x)
{
  double l = log(x);
  return l * expm1_over((1.0 - z->skew) * l);
}

static double area_inverse(const struct emuv_zipf *z, double a)
{
  double t = fmax(a * (1.0 - z->skew), -1.0);
  return exp(a * log1p_over(t));
}

void emuv_zipf_init(struct emuv_zipf *z, uint64_t n, double skew)
{
  *z = (struct emuv_zipf){.n = n, .skew = skew};
  z->area_low = area(z, 1.5) - 1.0;
  z->area_high = area(z, (double)n + 0.5);
  z->accept = 2.0 - area_inverse(z, area(z, 2.5) - density(z, 2.0));
}

uint64_t emuv_zipf_next(const struct emuv_zipf *z, struct emuv_rng *rng)
{
  if (z->skew == 0.0 || z->n == 1) return emuv_rng_below(rng, z->n);
  for (;;) {
    double u = z->area_high + emuv_rng_unit(rng) * (z->area_low - z->area_high);
    double x = area_inverse(z, u);
    double k = fmin(fmax(floor(x + 0.5), 1.0), (double)z->n);
    if (k - x <= z->accept || u >= area(z, k + 0.5) - density(z, k)) return (uint64_t)k - 1;
  }
}

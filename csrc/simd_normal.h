/* The normal distribution over vectors. Part of simd_math.h.
 *
 * phi, Phi   density and distribution function      Q(z) = 1 - Phi(z), the upper tail
 * mills      R(z) = Q(z) / phi(z) for z >= 0: smooth and positive, so that tails stay exact in relative
 *            terms and their logarithm is -z^2/2 - log sqrt(2 pi) + log R(z) however far out
 * decay      D(z) = -R'(z) = 1 - z R(z) for z >= 0: phi(z) D(z) is the mean of what exceeds z
 *
 * Everything is written in terms of R; no difference of nearly equal numbers is left in.
 */

#ifndef HPO_NORMAL_TABLES
#define HPO_NORMAL_TABLES

#define HPO_LOG_ROOT_TWO_PI 0x1.d67f1c864beb5p-1
#define HPO_INV_ROOT_TWO_PI 0x1.9884533d43651p-2

/* (z + 5) R(z) in t = (z - 5) / (z + 5), z in [0, inf): a Chebyshev expansion written as powers. */
static const double hpo_mills[24] = {
    1.9280810471531575, -1.66786659518896, 1.241547061573877, -0.7859110755465453,
    0.41364471573217226, -0.17325473408715042, 0.05212550242182693, -0.007503282820678759,
    -0.0019999620670556138, 0.0013658591609424361, -0.00014883252854029768, -0.00012473565818721082,
    4.181269707272043e-05, 9.974780085542733e-06, -6.9405498481783575e-06, -8.360675980181407e-07,
    1.0865648093633823e-06, 9.668428357216325e-08, -1.6898908396071304e-07, -1.7398124277679196e-08,
    2.324918339616538e-08, 3.1868668438665133e-09, -1.968820796668673e-09, -3.336850487923168e-10,
};

/* (z + 5)^2 D(z) in t = (z - 5) / (z + 5), z in [0, inf): a Chebyshev expansion written as powers, within
 * 1.2e-15 of D. */
static const double hpo_decay[26] = {
    3.5959476423421175,     -5.818827313525651,     6.082374411361284,      -4.798223165117077,
    2.934497249096636,      -1.35228141899061,      0.41740149668139453,    -0.044026566865175566,
    -0.030292390744729298,  0.015146923044923905,   -0.0002650681840667968, -0.0019986080107319134,
    0.0004139054426764192,  0.00023689564821571303, -9.160433645185703e-05, -3.091935777960712e-05,
    1.6898400771678573e-05, 4.985842290949531e-06,  -2.966103036497679e-06, -9.860653979399536e-07,
    4.863614183922022e-07,  2.052544828363732e-07,  -6.547746130574846e-08, -3.522356552839328e-08,
    5.159446504393579e-09,  3.366076047861771e-09,
};

/* (Phi(z) - 1/2) / z in z^2, |z| <= 1: minimax. */
static const double hpo_centre[10] = {
    0.39894228040143265,    -0.06649038006690379,  0.009973557009981386,    -0.0011873282147876164, 0.00011543468312705092,
    -9.444639510645421e-06, 6.659311872470124e-07, -4.1172593892638895e-08, 2.22681333431858e-09,   -9.020280857476202e-11,
};

/* Numerators and denominators of the inverse of Phi: Wichura (1988), Algorithm AS 241, PPND16. */
static const double hpo_ppnd[3][2][8] = {
    {{3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
      4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3},
     {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
      2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3}},
    {{1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
      1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4},
     {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
      1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9}},
    {{6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
      2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7},
     {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
      7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15}},
};

/* Positive nodes and weights of the 8-point Gauss-Legendre rule on [-1, 1]. */
static const double hpo_gauss[2][4] = {
    {0.1834346424956498, 0.525532409916329, 0.7966664774136267, 0.9602898564975363},
    {0.362683783378362, 0.31370664587788727, 0.22238103445337448, 0.10122853629037626},
};

#endif

/* c[0] + c[1] x + ... + c[n - 1] x^(n - 1) for even n: even and odd powers in step. */
HPO_INLINE vd HPO_NAME(vpoly)(const double *c, int n, vd x)
{
    vd square = x * x, odd = vset(c[n - 1]), even = vset(c[n - 2]);
    for (int i = n - 3; i > 0; i -= 2) {
        odd = odd * square + c[i];
        even = even * square + c[i - 1];
    }
    return odd * x + even;
}

/* R(z), z >= 0, within 3 eps. */
HPO_INLINE vd HPO_NAME(vmills)(vd z)
{
    z = vmin(vset(1e300), z); /* inf - inf would be NaN */
    vd w = 1.0 / (z + 5.0);
    return w * HPO_NAME(vpoly)(hpo_mills, 24, (z - 5.0) * w);
}

/* exp(scale z^2), z >= 0, for scale -1/2 or 1, within 2 eps; exp(-708) and less is 0. The square of z's
 * upper 26 bits is exact, and what is left of z^2 is so small that four terms of exp suffice. */
HPO_INLINE vd HPO_NAME(vexp_square)(vd z, double scale)
{
    z = vmin(vset(40.0), z);
    vd upper = (vd)((vu)z & ~(uint64_t)0x7FFFFFF);
    vd rest = scale * (z - upper) * (z + upper);
    vd correction = 1.0 + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0)));
    return HPO_NAME(vexp)(scale * upper * upper) * correction;
}

/* Q(z), z >= 0, within 5 eps; 0 beyond 37.6. */
HPO_INLINE vd HPO_NAME(vtail)(vd z)
{
    return HPO_NAME(vexp_square)(z, -0.5) * (HPO_INV_ROOT_TWO_PI * HPO_NAME(vmills)(z));
}

/* Q(z), z >= 0, within z^2 eps / 2 and never below Q(37): where it is added to something. */
HPO_INLINE vd HPO_NAME(vtail_quick)(vd z)
{
    z = vmin(vset(37.0), z);
    return HPO_NAME(vexp_tame)(-0.5 * z * z) * (HPO_INV_ROOT_TWO_PI * HPO_NAME(vmills)(z));
}

/* Phi(z) - 1/2, |z| <= 1, exact in relative terms. */
HPO_INLINE vd HPO_NAME(vcentre)(vd z) { return z * HPO_NAME(vpoly)(hpo_centre, 10, z * z); }

/* Phi(b) - Phi(a) for a <= 0 <= b and the tails on both sides. From the tails, unless the interval is
 * so narrow that 1 - tails would lose digits; then it lies in [-1, 1]. */
HPO_INLINE vd HPO_NAME(vmass_and_tails)(vd a, vd b, vd *below, vd *above)
{
    *below = HPO_NAME(vtail_quick)(-a);
    *above = HPO_NAME(vtail_quick)(b);
    vd mass = 1.0 - (*below + *above);
    vi narrow = b - a < 1.0;
    return vany(narrow) ? vselect(narrow, HPO_NAME(vcentre)(b) - HPO_NAME(vcentre)(a), mass) : mass;
}

/* Phi(b) - Phi(a), a <= 0 <= b, within 16 eps: the mass that a standard normal leaves in an interval
 * around its mode. */
HPO_INLINE vd HPO_NAME(vmass)(vd a, vd b)
{
    vd below, above;
    return HPO_NAME(vmass_and_tails)(a, b, &below, &above);
}

/* z >= 0 with Q(z) = p, 0 <= p <= 1/2, within 3 eps; subnormal p count as the smallest normal. */
HPO_INLINE vd HPO_NAME(vtail_inverse)(vd p)
{
    vd q = 0.5 - p, r = 0.180625 - q * q;
    vi central = q <= 0.425;
    vd top = q * HPO_NAME(vpoly)(hpo_ppnd[0][0], 8, r), bottom = HPO_NAME(vpoly)(hpo_ppnd[0][1], 8, r);
    if (vany(~central)) {
        vd root = vsqrt(-HPO_NAME(vlog)(vmax(vset(0x1p-1022), p))), s = root - 1.6;
        vi far = root > 5.0; /* p < 1.4e-11 */
        vd tail_top = HPO_NAME(vpoly)(hpo_ppnd[1][0], 8, s), tail_bottom = HPO_NAME(vpoly)(hpo_ppnd[1][1], 8, s);
        if (vany(far)) {
            s = root - 5.0;
            tail_top = vselect(far, HPO_NAME(vpoly)(hpo_ppnd[2][0], 8, s), tail_top);
            tail_bottom = vselect(far, HPO_NAME(vpoly)(hpo_ppnd[2][1], 8, s), tail_bottom);
        }
        top = vselect(central, top, tail_top);
        bottom = vselect(central, bottom, tail_bottom);
    }
    return vselect(p == 0.0, vset(__builtin_inf()), top / bottom);
}

/* x with Phi(x) = p = 1 - q; the smaller of the two decides, so that both tails are exact. */
HPO_INLINE vd HPO_NAME(vquantile)(vd p, vd q)
{
    vi upper = q < p;
    vd z = HPO_NAME(vtail_inverse)(vselect(upper, q, p));
    return vselect(upper, z, -z);
}

/* The u-quantile of a standard normal truncated to [a, b], a <= 0 <= b. */
HPO_INLINE vd HPO_NAME(vtruncated)(vd u, vd a, vd b)
{
    vd below, above, mass = HPO_NAME(vmass_and_tails)(a, b, &below, &above);
    vd x = HPO_NAME(vquantile)(below + u * mass, above + (1.0 - u) * mass);
    return vmin(vmax(x, a), b);
}

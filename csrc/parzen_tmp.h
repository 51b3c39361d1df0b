/* TEMPORARY until simd_math.h has them. */
#include <math.h>
HPO_INLINE vd HPO_NAME(vmass)(vd a, vd b) { vd r; for (int i=0;i<LANES;i++) r[i] = 0.5*(erf(b[i]*0.70710678118654752440)-erf(a[i]*0.70710678118654752440)); return r; }
HPO_INLINE vd HPO_NAME(vtruncated)(vd u, vd a, vd b) { vd r; for (int i=0;i<LANES;i++) { double lo=a[i],hi=b[i]; double fa=0.5*erfc(-lo*0.70710678118654752440), m=0.5*(erf(b[i]*0.70710678118654752440)-erf(a[i]*0.70710678118654752440)); double p=fa+u[i]*m; for(int k=0;k<60;k++){ double c=0.5*(lo+hi); if (0.5*erfc(-c*0.70710678118654752440)<p) lo=c; else hi=c;} r[i]=0.5*(lo+hi);} return r; }

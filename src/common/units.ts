/** 2^10 bytes. */
export const KIB = 1024;
/** 2^20 bytes. */
export const MIB = 1_048_576;
/** 2^30 bytes. */
export const GIB = 1_073_741_824;

/** A request through a whole API costs a hundred times what a reader does. */

/** Of 100,000 inputs, these go to REST and to gRPC. */
export const REST_SHARE = 0.05;
export const SERVICE_SHARE = 0.05;

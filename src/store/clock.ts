/** Returns the current time. A store reads it once per operation. */
export type Clock = () => Date;

export const systemClock: Clock = () => new Date();

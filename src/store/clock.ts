/** The current time. A store takes it once for each operation. */
export type Clock = () => Date;

export const systemClock: Clock = () => new Date();

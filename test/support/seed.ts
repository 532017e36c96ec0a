/**
 * The first seed of the random tests. `TEST_SEED`, and with it `TEST_PATH`, repeat a failure that was printed. CI takes
 * the seed from the commit, so that a commit always gets the same cases.
 */
export const seed = Number(process.env["TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

const path = process.env["TEST_PATH"];

/** For `fc.assert`. */
export const seeded = { seed, ...(path !== undefined && { path }) };

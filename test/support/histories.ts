import fc from "fast-check";
import { seed, seeded } from "./seed.ts";
import { useVirtualTime } from "./virtual-time.ts";

const batch = 100;

/** Checks the property in virtual time, for that many real seconds. A failure prints its seed and path, and is shrunk. */
export async function playBatches(
  property: fc.IAsyncProperty<unknown>,
  seconds: number,
): Promise<void> {
  const now = performance.now.bind(performance);
  const begunAt = now();
  const end = begunAt + seconds * 1000;
  useVirtualTime();
  let played = 0;
  do {
    await fc.assert(property, { ...seeded, seed: seed + played, numRuns: batch });
    played += batch;
  } while (now() < end);
  const perSecond = Math.round((1000 * played) / (now() - begunAt));
  console.info(`${played} histories from seed ${seed}, ${perSecond} per second`);
}

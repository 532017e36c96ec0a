import { comparePositions, type RunPosition } from "../model/cursors.ts";

/** A run that one side or both have. */
export interface Merged<T> {
  readonly a: T | null;
  readonly b: T | null;
}

/**
 * Pairs two sequences of runs in the same order, each run once: what only one of them has comes alone.
 *
 * `direction` is 1 where they go from the oldest to the newest, and -1 the other way.
 */
export async function* mergeRuns<T>(
  a: AsyncIterable<T>,
  b: AsyncIterable<T>,
  { direction, positionOf }: { direction: 1 | -1; positionOf: (item: T) => RunPosition },
): AsyncGenerator<Merged<T>> {
  const [left, right] = [a[Symbol.asyncIterator](), b[Symbol.asyncIterator]()];
  const take = async (side: AsyncIterator<T>): Promise<T | null> => {
    const next = await side.next();
    return next.done === true ? null : next.value;
  };
  try {
    let [one, other] = await Promise.all([take(left), take(right)]);
    while (one !== null || other !== null) {
      const order =
        one === null
          ? 1
          : other === null
            ? -1
            : direction * comparePositions(positionOf(one), positionOf(other));
      yield { a: order <= 0 ? one : null, b: order >= 0 ? other : null };
      [one, other] = await Promise.all([
        order <= 0 ? take(left) : one,
        order >= 0 ? take(right) : other,
      ]);
    }
  } finally {
    await Promise.all([left.return?.(), right.return?.()]);
  }
}

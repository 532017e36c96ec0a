interface IdleWait {
  /** The claims up to this one do not count. */
  readonly since: number;
  readonly resolve: (isIdle: boolean) => void;
  readonly reject: (reason: unknown) => void;
}

/** Who waits until a claim finds nothing more. */
export class IdleWaits {
  readonly #waits = new Set<IdleWait>();

  /**
   * Resolves when a claim after number `since` has left nothing: true. False when there will be no such claim.
   *
   * @throws what `fail` is told.
   */
  begin(since: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waits.add({ since, resolve, reject });
    });
  }

  /** Claim number `claim` has left nothing; infinite: there will be no more claims. */
  end(claim: number): void {
    for (const wait of this.#waits) {
      if (wait.since >= claim) continue;
      this.#waits.delete(wait);
      wait.resolve(claim !== Infinity);
    }
  }

  /** There will be no more claims, for this reason. */
  fail(reason: unknown): void {
    for (const { reject } of this.#waits) reject(reason);
    this.#waits.clear();
  }
}

/** The bytes of a text that is not UTF-8. */
export class BrokenText extends Uint8Array {
  /** The text with U+FFFD in place of invalid bytes. */
  override toString(): string {
    return new TextDecoder().decode(this);
  }
}

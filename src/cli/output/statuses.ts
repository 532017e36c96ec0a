import type { StepStatus } from "../../statuses.ts";
import { colors } from "./output.ts";

const paints = {
  PENDING: colors.yellow,
  RUNNING: colors.cyan,
  RETRYING: colors.yellow,
  COMPLETED: colors.green,
  FAILED: colors.red,
  CANCELLED: colors.magenta,
  SKIPPED: colors.dim,
} satisfies Record<StepStatus, (text: string) => string>;

/** `text` in the color of the status. Defaults to the status itself. */
export function paintStatus(status: StepStatus, text: string = status): string {
  return paints[status](text);
}

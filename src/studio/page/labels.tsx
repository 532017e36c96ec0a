import { Text } from "./parts.tsx";

interface Labels {
  readonly id: string;
  readonly name: string | null;
  readonly description: string | null;
}

/** The names and descriptions of a workflow and its steps, of the option `workflows`. */
export interface WorkflowLabels extends Labels {
  readonly version: string;
  readonly steps: readonly Labels[];
}

/** Those of this version, or else of another version of the workflow. */
export function labelsOf(
  labels: readonly WorkflowLabels[],
  workflowId: string,
  version: string,
): WorkflowLabels | undefined {
  const versions = labels.filter(({ id }) => id === workflowId);
  return versions.find((each) => each.version === version) ?? versions.at(-1);
}

/** The name behind an id. */
export const Name = ({ of }: { readonly of: Labels | undefined }) =>
  of === undefined || of.name === null ? null : (
    <span class="muted">
      {" "}
      <Text value={of.name} />
    </span>
  );

export const Description = ({ of }: { readonly of: Labels | undefined }) =>
  of === undefined || of.description === null ? null : (
    <p class="muted">
      <Text value={of.description} />
    </p>
  );

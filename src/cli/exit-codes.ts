/** The exit codes. Scripts rely on them. */
export const exitCodes = {
  /** Success. */
  fine: 0,
  /** A failure, or a finding: drift, a difference, an unreadable row. */
  failure: 1,
  /** Invalid usage. Nothing was changed. */
  usage: 2,
  /** Interrupted by SIGINT (Ctrl-C). Finished work is kept. */
  interrupted: 130,
  /** Interrupted by SIGTERM. */
  terminated: 143,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodesHelp = `
Exit codes:
  0    success
  1    failure, or a finding: drift, a difference, an unreadable row
  2    invalid usage; nothing was changed
  130  interrupted by Ctrl-C (143: by SIGTERM); finished work is kept`;

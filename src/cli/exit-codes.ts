/** Scripts rely on these. */
export const exitCodes = {
  /** The command succeeded and found no problem. */
  fine: 0,
  /** The command failed, or found a problem: drift, differences, rows that cannot be read. */
  failure: 1,
  /** The arguments are invalid; nothing was done. */
  usage: 2,
  /** Ended by SIGINT (Ctrl-C). Finished work stays done. */
  interrupted: 130,
  /** Ended by SIGTERM. */
  terminated: 143,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodesHelp = `
Exit codes:
  0    success
  1    failure, or a problem was found: drift, a difference, a row that cannot be read
  2    invalid arguments; nothing was done
  130  interrupted by Ctrl-C; finished work stays done (143: by SIGTERM)`;

import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import { print } from "./output/output.ts";

/**
 * The part of the package bash-completion that the script uses, in case the package is not installed.
 */
const wordsOfBash = `
if ! declare -F _get_comp_words_by_ref >/dev/null; then
  _get_comp_words_by_ref() {
    cur="\${COMP_WORDS[COMP_CWORD]}"
    prev="\${COMP_WORDS[COMP_CWORD - 1]}"
    words=("\${COMP_WORDS[@]}")
    cword=$COMP_CWORD
  }
fi`.trimStart();

/** Adds `gorkflow complete <shell>`, which prints what a shell needs to complete commands and options. */
export function addCompletion(program: Command): void {
  // The commands that `tab` adds copy these settings.
  program.exitOverride().showHelpAfterError("(gorkflow complete --help shows the usage)");
  tab(program);
  const complete = program.commands.find((command) => command.name() === "complete");
  complete?.hook("preAction", ({ args }) => {
    if (args[0] === "bash") print(wordsOfBash);
  });
}

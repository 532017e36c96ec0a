import { useEverything } from "./app.js";

void useEverything(process.argv[2] ?? ".").then((answers) => console.log(JSON.stringify(answers)));

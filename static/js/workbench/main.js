/** The workbench's start: what the server wrote into the page, and a place in this browser to keep work safe. */

import { MemoryStore, Store } from "./outbox.js";
import { Workbench } from "./workbench.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);

const [store, keeps] = await Store.open().then(
  (opened) => [opened, true],
  () => [new MemoryStore(), false],
);
await new Workbench(store, { keeps, config: read("workbench-config") }).start(read("workbench-task"));

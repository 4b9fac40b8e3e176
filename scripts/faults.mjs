// `npm run faults`: installs and builds what is needed, then runs a node under faults with the given arguments.
import { runBuilt } from './run-built.mjs'

runBuilt('tests/dist/faults/main.js')

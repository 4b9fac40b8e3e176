// `npm run cost`: installs and builds what is needed, then measures what a call costs in memory.
import { runBuilt } from './run-built.mjs'

runBuilt('tests/dist/cost/main.js')

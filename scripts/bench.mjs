// `npm run bench`: installs and builds what is needed, then runs the benchmarks with the given arguments.
import { runBuilt } from './run-built.mjs'

runBuilt('benchmarks/dist/main.js')

#!/usr/bin/env node
import { run } from './cli/run.ts';

// A reader that goes away, such as head, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
const code = await run(process.argv.slice(2));
// What is written is flushed before the end; connections that would keep the process are not waited for.
process.stdout.write('', () => process.exit(code));

/*
 * One LSTM layer of 256 units over several sequences at once, in single precision.
 *
 * A layer of the voice encoder is thousands of small matrix products. Called one by one from Python each would take the
 * interpreter's lock back from whoever has it; here a whole layer is one call, made without that lock.
 *
 *   gates   = bias + x W + h R          columns: input, forget, output, candidate, 256 each
 *   cell    = forget * cell + input * candidate
 *   h       = output * tanh(cell)
 *
 * input, forget, output = (1 + tanh(gate)) / 2: whoever makes the weights has halved those columns.
 *
 * Needs AVX2 and FMA; `lstm_works` says whether this machine has them.
 */

#ifndef LISTEN_LSTM_H
#define LISTEN_LSTM_H

/* cffi: begin */

#define LSTM_UNITS 256 /* of a layer */
#define LSTM_PANEL 16 /* columns that are multiplied at a time */
#define LSTM_ROWS 4   /* sequences that are multiplied at a time */
#define LSTM_STEPS 4  /* steps whose inputs are multiplied at once */

/* Whether `lstm_run` may be called on this machine. */
int lstm_works(void);

/*
 * Run a layer over `rows` sequences of `steps` steps from rest; nothing need be aligned
 * rows            a multiple of LSTM_ROWS
 * sequence        [steps][rows][inputs]
 * inward          [4 * LSTM_UNITS / LSTM_PANEL][inputs][LSTM_PANEL]: W, panel by panel
 * recurrent       the same of R, with LSTM_UNITS inputs
 * bias            [4 * LSTM_UNITS]
 * outputs         [steps][rows][LSTM_UNITS]
 * room            rows * LSTM_UNITS * (4 * LSTM_STEPS + 1) floats for its own use
 */
void lstm_run(const float *sequence, int steps, int rows, int inputs, const float *inward, const float *recurrent,
              const float *bias, float *outputs, float *room);

/* cffi: end */

#endif

#include "lstm.h"

#include <stddef.h>
#include <string.h>

#define GATES ((size_t)4 * LSTM_UNITS)

#if defined(__x86_64__)

#include <immintrin.h>

#define HASWELL __attribute__((target("avx2,fma")))

int lstm_works(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

/* out[4][GATES] += in[4][inputs] times one panel, at the panel's columns. Eight sums stay in registers. */
HASWELL static void multiply_panel(const float *in, size_t inputs, const float *panel, float *out) {
    __m256 sums[LSTM_ROWS][2];
    for (int row = 0; row < LSTM_ROWS; row++) {
        sums[row][0] = _mm256_loadu_ps(out + row * GATES);
        sums[row][1] = _mm256_loadu_ps(out + row * GATES + 8);
    }
    for (size_t k = 0; k < inputs; k++) {
        __m256 low = _mm256_loadu_ps(panel + k * LSTM_PANEL);
        __m256 high = _mm256_loadu_ps(panel + k * LSTM_PANEL + 8);
        for (int row = 0; row < LSTM_ROWS; row++) {
            __m256 value = _mm256_broadcast_ss(in + row * inputs + k);
            sums[row][0] = _mm256_fmadd_ps(value, low, sums[row][0]);
            sums[row][1] = _mm256_fmadd_ps(value, high, sums[row][1]);
        }
    }
    for (int row = 0; row < LSTM_ROWS; row++) {
        _mm256_storeu_ps(out + row * GATES, sums[row][0]);
        _mm256_storeu_ps(out + row * GATES + 8, sums[row][1]);
    }
}

/* out[rows][GATES] += in[rows][inputs] times the matrix of these panels. A panel stays in the first cache. */
HASWELL static void multiply(const float *in, size_t rows, size_t inputs, const float *panels, float *out) {
    for (size_t column = 0; column < GATES; column += LSTM_PANEL) {
        const float *panel = panels + column * inputs;
        for (size_t row = 0; row < rows; row += LSTM_ROWS)
            multiply_panel(in + row * inputs, inputs, panel, out + row * GATES + column);
    }
}

/* tanh(x) = 1 - 2 / (e^2x + 1), e^2x = 2^n 2^f with |f| <= 1/2, 2^f by its Taylor series: within 3e-7. */
HASWELL static __m256 tanh_of(__m256 x) {
    static const float series[] = {1.5403530e-4f, 1.3333558e-3f, 9.6181291e-3f, 5.5504109e-2f,
                                   2.4022651e-1f, 6.9314718e-1f, 1.0f};
    const __m256 one = _mm256_set1_ps(1.0f), most = _mm256_set1_ps(10.0f);
    x = _mm256_max_ps(_mm256_min_ps(x, most), _mm256_sub_ps(_mm256_setzero_ps(), most));
    __m256 power = _mm256_mul_ps(x, _mm256_set1_ps(2.8853901f)); /* 2 / ln 2 */
    __m256 whole = _mm256_round_ps(power, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 rest = _mm256_sub_ps(power, whole), sum = _mm256_set1_ps(series[0]);
    for (int term = 1; term < 7; term++)
        sum = _mm256_fmadd_ps(sum, rest, _mm256_set1_ps(series[term]));
    __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(whole), 23);
    __m256 exp = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(sum), exponent));
    return _mm256_sub_ps(one, _mm256_div_ps(_mm256_set1_ps(2.0f), _mm256_add_ps(exp, one)));
}

HASWELL static __m256 opened(const float *gate) {
    const __m256 half = _mm256_set1_ps(0.5f);
    return _mm256_fmadd_ps(tanh_of(_mm256_loadu_ps(gate)), half, half);
}

/* One step of one sequence. */
HASWELL static void step(const float *gates, float *cell, float *output) {
    for (int unit = 0; unit < LSTM_UNITS; unit += 8) {
        const float *gate = gates + unit;
        __m256 candidate = tanh_of(_mm256_loadu_ps(gate + 3 * LSTM_UNITS));
        __m256 kept = _mm256_mul_ps(opened(gate + LSTM_UNITS), _mm256_loadu_ps(cell + unit));
        __m256 now = _mm256_fmadd_ps(opened(gate), candidate, kept);
        _mm256_storeu_ps(cell + unit, now);
        _mm256_storeu_ps(output + unit, _mm256_mul_ps(opened(gate + 2 * LSTM_UNITS), tanh_of(now)));
    }
}

void lstm_run(const float *sequence, int steps, int rows, int inputs, const float *inward, const float *recurrent,
              const float *bias, float *outputs, float *room) {
    size_t each = (size_t)rows * LSTM_UNITS;
    float *cells = room, *gates = room + each;
    memset(cells, 0, each * sizeof(float));
    for (int first = 0; first < steps; first += LSTM_STEPS) {
        int count = steps - first < LSTM_STEPS ? steps - first : LSTM_STEPS;
        for (int row = 0; row < count * rows; row++)
            memcpy(gates + row * GATES, bias, GATES * sizeof(float));
        multiply(sequence + (size_t)first * rows * inputs, (size_t)count * rows, inputs, inward, gates);
        for (int at = 0; at < count; at++) {
            float *now = gates + at * rows * GATES, *output = outputs + (first + at) * each;
            if (first + at > 0)
                multiply(output - each, rows, LSTM_UNITS, recurrent, now);
            for (int row = 0; row < rows; row++)
                step(now + row * GATES, cells + row * LSTM_UNITS, output + row * LSTM_UNITS);
        }
    }
}

#else

int lstm_works(void) { return 0; }

void lstm_run(const float *sequence, int steps, int rows, int inputs, const float *inward, const float *recurrent,
              const float *bias, float *outputs, float *room) {
    (void)sequence, (void)steps, (void)rows, (void)inputs, (void)inward, (void)recurrent, (void)bias;
    (void)outputs, (void)room;
}

#endif

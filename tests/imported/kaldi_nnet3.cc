// Asks Kaldi itself for a network's answers, through the Kaldi that is compiled into libvosk.so of the package vosk.
//
//   kaldi_nnet3 MODEL < question > answer        numbers are little-endian, int32 or float32
//   question: frames before the first and behind the last of the output, frames, columns, columns of an iVector (or 0),
//             length of the output's name; the name; the frames; the iVector
//   answer:   context to the left and right as Kaldi finds it, rows, columns; the rows
//
// What is declared here of Kaldi's classes is what is called; the rest of an object is room that its own code fills.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace kaldi {

enum MatrixResizeType { kSetZero };
enum MatrixStrideType { kDefaultStride };

template <typename Real>
class CuMatrix {
 public:
  CuMatrix();
  ~CuMatrix();
  void Resize(int rows, int columns, MatrixResizeType how, MatrixStrideType stride);
  Real *data;
  int32_t columns, rows, stride;
};

namespace nnet3 {

constexpr size_t kRoom = 1 << 14;

class Nnet {
 public:
  void Read(std::istream &is, bool binary);
  std::vector<void *> room[4];
};

struct Index {
  int32_t n, t, x;
};

struct IoSpecification {
  std::string name;
  std::vector<Index> indexes;
  bool has_deriv;
};

struct ComputationRequest {
  std::vector<IoSpecification> inputs, outputs;
  bool need_model_derivative = false, store_component_stats = false;
  struct {
  } misc_info;
};

class NnetComputation;

struct CachingOptimizingCompilerOptions {
  bool use_shortcut = true;
  int32_t cache_capacity = 64;
};

struct NnetComputeOptions {
  bool debug = false;
};

class CachingOptimizingCompiler {
 public:
  CachingOptimizingCompiler(const Nnet &nnet, CachingOptimizingCompilerOptions options);
  std::shared_ptr<const NnetComputation> Compile(const ComputationRequest &request);
  alignas(16) char room[kRoom];
};

class NnetComputer {
 public:
  NnetComputer(const NnetComputeOptions &options, const NnetComputation &computation, const Nnet &nnet, Nnet *derivative);
  void AcceptInput(const std::string &name, CuMatrix<float> *input);
  void Run();
  void GetOutputDestructive(const std::string &name, CuMatrix<float> *output);
  alignas(16) char room[kRoom];
};

void SetBatchnormTestMode(bool test, Nnet *nnet);
void SetDropoutTestMode(bool test, Nnet *nnet);
void ComputeSimpleNnetContext(const Nnet &nnet, int32_t *left, int32_t *right);

}  // namespace nnet3
}  // namespace kaldi

using namespace kaldi;
using namespace kaldi::nnet3;

static void Take(void *into, size_t bytes) {
  if (bytes && std::fread(into, 1, bytes, stdin) != bytes) {
    std::cerr << "the question ends too early\n";
    std::_Exit(2);
  }
}

static void Fill(CuMatrix<float> *matrix, int rows, int columns) {
  matrix->Resize(rows, columns, kSetZero, kDefaultStride);
  for (int row = 0; row < rows; row++) Take(matrix->data + row * matrix->stride, columns * sizeof(float));
}

static IoSpecification Frames(const std::string &name, int first, int end) {
  IoSpecification found{name, {}, false};
  for (int t = first; t < end; t++) found.indexes.push_back(Index{0, t, 0});
  return found;
}

int main(int, char **arguments) {
  std::ifstream file(arguments[1], std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  bool binary = bytes.compare(0, 2, std::string("\0B", 2)) == 0;
  std::istringstream from(bytes.substr(bytes.find("<Nnet3>")));
  auto *nnet = new Nnet();
  nnet->Read(from, binary);
  SetBatchnormTestMode(true, nnet);
  SetDropoutTestMode(true, nnet);

  int32_t head[6];  // before, behind, frames, columns, iVector, length of the name
  Take(head, sizeof head);
  std::string name(head[5], ' ');
  Take(&name[0], name.size());
  CuMatrix<float> input, ivector, output;
  Fill(&input, head[2], head[3]);

  ComputationRequest request;
  request.inputs.push_back(Frames("input", -head[0], head[2] - head[0]));
  if (head[4]) {
    Fill(&ivector, 1, head[4]);
    request.inputs.push_back(Frames("ivector", 0, 1));
  }
  request.outputs.push_back(Frames(name, 0, head[2] - head[0] - head[1]));
  auto *compiler = new CachingOptimizingCompiler(*nnet, CachingOptimizingCompilerOptions());
  auto computation = compiler->Compile(request);
  auto *computer = new NnetComputer(NnetComputeOptions(), *computation, *nnet, nullptr);
  computer->AcceptInput("input", &input);
  if (head[4]) computer->AcceptInput("ivector", &ivector);
  computer->Run();
  computer->GetOutputDestructive(name, &output);

  int32_t context[2];
  ComputeSimpleNnetContext(*nnet, &context[0], &context[1]);
  int32_t shape[4] = {context[0], context[1], output.rows, output.columns};
  std::fwrite(shape, sizeof shape, 1, stdout);
  for (int row = 0; row < output.rows; row++)
    std::fwrite(output.data + row * output.stride, sizeof(float), output.columns, stdout);
  std::fflush(stdout);
  std::_Exit(0);  // what is left of Kaldi's objects is not taken down
}
